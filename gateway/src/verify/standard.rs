//! [Standard Webhooks](floodgate_event::standard_webhooks) v1: `webhook-signature: v1,<base64> …` over
//! `<webhook-id>.<webhook-timestamp>.<body>`.

use floodgate_event::standard_webhooks::{ID_HEADER, Key, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use http::HeaderMap;

use super::headers::{require_fresh, same, single, timestamp};
use super::named::{Named, find};
use crate::accept::refusal::NotSigned;

pub(super) fn check<'k>(
    keys: &'k [Named<Key>],
    headers: &HeaderMap,
    body: &[u8],
    now: u64,
    tolerance: u64,
) -> Result<&'k str, NotSigned> {
    let id = single(headers, ID_HEADER)?;
    // With a full stop in the id it would be unclear where it ends and the time begins.
    if id.is_empty() || id.contains('.') {
        return Err(NotSigned::Malformed(ID_HEADER));
    }
    let signed_at = timestamp(single(headers, TIMESTAMP_HEADER)?);
    let signed_at = signed_at.ok_or(NotSigned::Malformed(TIMESTAMP_HEADER))?;
    let signatures = single(headers, SIGNATURE_HEADER)?;
    require_fresh(signed_at, now, tolerance)?;
    let signed_by = |named: &Named<Key>| {
        // Once per key, however many signatures there are. Other versions never equal a `v1,…`.
        let ours = named.key.sign(id, signed_at, body);
        signatures.split(' ').any(|theirs| same(&ours, theirs))
    };
    find(keys, signed_by)
}
