//! The record of refused requests: its limits, and what a block of it must have.

use ulid::Ulid;

use crate::format::{DecodeError, VERSION, Versioned};
use crate::proto::{Reject, RejectBlock, Request};

/// The most rows of a block.
pub const MAX_ROWS: usize = 64;
/// The most bytes of a body that a row shows.
pub const MAX_BODY_BYTES: usize = 512;
/// The most headers of a row.
pub const MAX_HEADERS: usize = 64;
/// The most bytes of a header's value, of a path and of a query. What is cut ends in `…`.
pub const MAX_VALUE_BYTES: usize = 256;
/// The most bytes of all header names and values of a row.
pub const MAX_HEADER_BYTES: usize = 4 * 1024;
/// The same for a request that names no source of the region.
pub const MAX_UNKNOWN_HEADER_BYTES: usize = 1024;
/// The most bytes of a block.
pub const MAX_BLOCK_BYTES: usize = 512 * 1024;
/// The most bytes of any other text of a row: names, codes, addresses.
const MAX_TEXT_BYTES: usize = 128;
/// The most characters of a reason.
pub const MAX_REASON: usize = 300;
/// What stands in the place of a value that may be a credential.
pub const MASK: &str = "***";
/// The `code` of a row that stands for connections.
pub const CONNECTION: &str = "connection";

/// Makes the id of a row.
pub fn new_id() -> String {
    format!("rej_{}", Ulid::generate().to_string().to_lowercase())
}

/// Makes a block of rows.
pub fn block(region: &str, gateway: &str, rejects: Vec<Reject>) -> RejectBlock {
    RejectBlock { version: VERSION, region: region.to_owned(), gateway: gateway.to_owned(), rejects }
}

impl Versioned for RejectBlock {
    const NAME: &'static str = "block of refused requests";

    fn version(&self) -> u32 {
        self.version
    }

    fn check(&self) -> Result<(), DecodeError> {
        let is_short = |text: &String| text.len() <= MAX_TEXT_BYTES;
        let has_origin = is_short(&self.region) && is_short(&self.gateway);
        let has_rows = (1..=MAX_ROWS).contains(&self.rejects.len()) && self.rejects.iter().all(is_whole);
        match has_origin && has_rows {
            true => Ok(()),
            false => Err(DecodeError::Field { format: Self::NAME, field: "rejects" }),
        }
    }
}

/// A gateway is not trusted to keep to the bounds of a row.
fn is_whole(row: &Reject) -> bool {
    let texts = [&row.id, &row.source, &row.tenant, &row.code, &row.step, &row.scheme, &row.peer];
    let is_short = texts.iter().all(|text| text.len() <= MAX_TEXT_BYTES);
    // A character has at most four bytes.
    is_short
        && !row.id.is_empty()
        && row.reason.len() <= 4 * MAX_REASON
        && row.request.as_ref().is_none_or(is_shown)
}

fn is_shown(request: &Request) -> bool {
    // A path or a query may end in `…`.
    let is_cut = |text: &String| text.len() <= MAX_VALUE_BYTES + 4;
    let bytes: usize = request.headers.iter().map(|header| header.name.len() + header.value.len()).sum();
    let body = request.raw.as_ref().map_or(0, |body| body.len());
    [&request.method, &request.path, &request.query, &request.remote_address].into_iter().all(is_cut)
        && request.headers.len() <= MAX_HEADERS
        && bytes <= MAX_HEADER_BYTES
        && body <= MAX_BODY_BYTES
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::format::decode;

    #[test]
    fn a_block_that_breaks_the_bounds_is_not_read() {
        let row = || Reject { id: new_id(), request: Some(Request::default()), ..Reject::default() };
        let is_read = |rejects| decode::<RejectBlock>(&*block("eu", "eu-1", rejects).encode_to_vec()).is_ok();
        assert!(is_read(vec![row(); MAX_ROWS]));
        assert!(!is_read(Vec::new()) && !is_read(vec![row(); MAX_ROWS + 1]));
        assert!(!is_read(vec![Reject { peer: "x".repeat(1_000), ..row() }]));
        let request = Request { path: "/".repeat(10_000), ..Request::default() };
        assert!(!is_read(vec![Reject { request: Some(request), ..row() }]));
    }
}
