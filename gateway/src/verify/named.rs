//! Keys that envelopes name, and finding the one that signed.

use hmac::Hmac;
use sha2::Sha256;

use crate::accept::refusal::NotSigned;

/// A key together with the id that envelopes name it by.
pub(super) struct Named<K> {
    pub(super) id: String,
    pub(super) key: K,
}

/// An HMAC-SHA256 state that has taken in its key; cloned per request.
pub(super) type Keyed = Hmac<Sha256>;

/// The id of the first key that signed.
pub(super) fn find<K>(keys: &[Named<K>], signed: impl Fn(&Named<K>) -> bool) -> Result<&str, NotSigned> {
    let found = keys.iter().find(|named| signed(named)).map(|named| named.id.as_str());
    found.ok_or(NotSigned::NoMatch { secrets: keys.len() })
}
