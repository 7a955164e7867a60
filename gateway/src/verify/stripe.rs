//! Stripe: `Stripe-Signature: t=<unix>,v1=<hex>,…` over `<t>.<body>`, keyed by the whole
//! secret with its `whsec_` ([documentation](https://docs.stripe.com/webhooks/signature)).

use hmac::Mac as _;
use http::HeaderMap;

use super::headers::{require_fresh, same, single, timestamp};
use super::named::{Keyed, Named, find};
use crate::accept::refusal::NotSigned;

pub(super) const HEADER: &str = "stripe-signature";

pub(super) fn check<'k>(
    keys: &'k [Named<Keyed>],
    headers: &HeaderMap,
    body: &[u8],
    now: u64,
    tolerance: u64,
) -> Result<&'k str, NotSigned> {
    const MALFORMED: NotSigned = NotSigned::Malformed(HEADER);
    let header = single(headers, HEADER)?;
    let signed_at = only_value(header, "t").ok_or(MALFORMED)?;
    require_fresh(timestamp(signed_at).ok_or(MALFORMED)?, now, tolerance)?;
    let signed_by = |named: &Named<Keyed>| {
        // Once per key, however many signatures there are.
        let ours = sign(&named.key, signed_at, body);
        values(header, "v1").any(|theirs| same(&ours, theirs))
    };
    find(keys, signed_by)
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
