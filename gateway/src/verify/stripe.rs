//! Stripe: `Stripe-Signature: t=<unix>,v1=<hex>,…` over `<t>.<body>`, keyed by the whole secret with its `whsec_`
//! ([documentation](https://docs.stripe.com/webhooks/signature)).

use hmac::Mac as _;
use http::HeaderMap;

use super::headers::{is_fresh, same, single, timestamp};
use super::keys::{Keyed, Named};

const HEADER: &str = "stripe-signature";

pub(super) fn check<'k>(
    keys: &'k [Named<Keyed>],
    headers: &HeaderMap,
    body: &[u8],
    now: u64,
    tolerance: u64,
) -> Option<&'k str> {
    let header = single(headers, HEADER)?;
    let signed_at = only_value(header, "t")?;
    if !is_fresh(timestamp(signed_at)?, now, tolerance) {
        return None;
    }
    let signed_by = |named: &&Named<Keyed>| {
        // Once per key, however many signatures there are.
        let ours = sign(&named.key, signed_at, body);
        values(header, "v1").any(|theirs| same(&ours, theirs))
    };
    keys.iter().find(signed_by).map(|named| named.id.as_str())
}

fn values<'h>(header: &'h str, wanted: &str) -> impl Iterator<Item = &'h str> {
    header
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .filter(move |(key, _)| *key == wanted)
        .map(|pair| pair.1)
}

/// The value of a key that must be there exactly once.
fn only_value<'h>(header: &'h str, key: &str) -> Option<&'h str> {
    let mut found = values(header, key);
    match (found.next(), found.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

fn sign(key: &Keyed, timestamp: &str, body: &[u8]) -> String {
    let mut mac = key.clone();
    for part in [timestamp.as_bytes(), b".", body] {
        mac.update(part);
    }
    hex::encode(mac.finalize().into_bytes())
}
