//! [Standard Webhooks](floodgate_event::standard_webhooks) v1: `webhook-signature: v1,<base64> …` over
//! `<webhook-id>.<webhook-timestamp>.<body>`.

use floodgate_event::standard_webhooks::{ID_HEADER, Key, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use http::HeaderMap;

use super::headers::{is_fresh, same, single, timestamp};
use super::keys::Named;

pub(super) fn check<'k>(
    keys: &'k [Named<Key>],
    headers: &HeaderMap,
    body: &[u8],
    now: u64,
    tolerance: u64,
) -> Option<&'k str> {
    let id = single(headers, ID_HEADER)?;
    let signed_at = timestamp(single(headers, TIMESTAMP_HEADER)?)?;
    let signatures = single(headers, SIGNATURE_HEADER)?;
    // With a full stop in the id it would be unclear where it ends and the time begins.
    if id.is_empty() || id.contains('.') || !is_fresh(signed_at, now, tolerance) {
        return None;
    }
    let signed_by = |named: &&Named<Key>| {
        // Once per key, however many signatures there are. Other versions never equal a `v1,…`.
        let ours = named.key.sign(id, signed_at, body);
        signatures.split(' ').any(|theirs| same(&ours, theirs))
    };
    keys.iter().find(signed_by).map(|named| named.id.as_str())
}
