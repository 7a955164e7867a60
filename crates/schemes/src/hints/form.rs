//! Mistakes with how a signature is made and written.

use floodgate_event::scheme::{Algorithm, Encoding, Template};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Case, Mistake};
use crate::describe;

/// The length of the shortest signature in hexadecimal digits: that of HMAC-SHA1.
const MIN_HEX: usize = 40;

const ALGORITHMS: [Algorithm; 4] =
    [Algorithm::HmacSha1, Algorithm::HmacSha256, Algorithm::HmacSha384, Algorithm::HmacSha512];

pub(super) fn hint(case: &Case<'_>) -> Option<String> {
    upper_case(case).or_else(|| template(case))
}

fn upper_case(case: &Case<'_>) -> Option<String> {
    let is_it = |name: &&HeaderName| {
        lower(case.request.headers, name)
            .is_some_and(|headers| case.holds(Mistake { headers: Some(headers), ..Mistake::default() }))
    };
    let name = case.request.headers.keys().find(is_it)?;
    Some(format!(
        "it verifies with the hexadecimal digits of {name} in lower case, as the scheme writes them"
    ))
}

/// The headers with this one in lower case; none if it does not end in hexadecimal digits, some of them in
/// upper case.
fn lower(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderMap> {
    let value = headers.get(name)?.to_str().ok()?;
    let digits = value.rsplit('=').next().unwrap_or_default();
    let is_hex = digits.len() >= MIN_HEX && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex || !digits.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let mut changed = headers.clone();
    changed.insert(name.clone(), HeaderValue::try_from(value.to_ascii_lowercase()).ok()?);
    Some(changed)
}

/// Another algorithm or encoding. A provider has one of each, so this is for templates that somebody wrote,
/// and for a preset that is not this provider's.
fn template(case: &Case<'_>) -> Option<String> {
    let own = case.template().filter(|own| own.algorithm.is_symmetric())?;
    let others = ALGORITHMS.iter().flat_map(|&algorithm| {
        [Encoding::Hex, Encoding::Base64].map(|encoding| Template { algorithm, encoding, ..own.clone() })
    });
    let holds =
        |template: &Template| case.holds(Mistake { template: Some(template.clone()), ..Mistake::default() });
    let other = others.filter(|other| other != own).find(holds)?;
    let algorithm = describe::algorithm(other.algorithm);
    Some(format!("it verifies as {algorithm}, written in {}", describe::encoding(other.encoding)))
}
