//! GitHub: `X-Hub-Signature-256: sha256=<hex>` over the body
//! ([documentation](https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries)).

use hmac::Mac as _;
use http::HeaderMap;

use super::headers::{same, single};
use super::named::{Keyed, Named, find};
use crate::accept::refusal::NotSigned;

pub(super) const HEADER: &str = "x-hub-signature-256";
const PREFIX: &str = "sha256=";

pub(super) fn check<'k>(
    keys: &'k [Named<Keyed>],
    headers: &HeaderMap,
    body: &[u8],
) -> Result<&'k str, NotSigned> {
    let theirs = single(headers, HEADER)?.strip_prefix(PREFIX).ok_or(NotSigned::Malformed(HEADER))?;
    find(keys, |named| same(&sign(&named.key, body), theirs))
}

fn sign(key: &Keyed, body: &[u8]) -> String {
    let mut mac = key.clone();
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}
