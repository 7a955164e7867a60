//! GitHub: `X-Hub-Signature-256: sha256=<hex>` over the body
//! ([documentation](https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries)).

use hmac::Mac as _;
use http::HeaderMap;

use super::headers::{same, single};
use super::keys::{Keyed, Named};

const HEADER: &str = "x-hub-signature-256";
const PREFIX: &str = "sha256=";

pub(super) fn check<'k>(keys: &'k [Named<Keyed>], headers: &HeaderMap, body: &[u8]) -> Option<&'k str> {
    let theirs = single(headers, HEADER)?.strip_prefix(PREFIX)?;
    keys.iter().find(|named| same(&sign(&named.key, body), theirs)).map(|named| named.id.as_str())
}

fn sign(key: &Keyed, body: &[u8]) -> String {
    let mut mac = key.clone();
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}
