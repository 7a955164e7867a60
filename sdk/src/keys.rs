//! HMAC-SHA256 ([RFC 2104](https://www.rfc-editor.org/rfc/rfc2104)) under keys that the gateway holds and the
//! handler never sees.
//!
//! A source's configuration names its `keys`, and the binding grants each one to the handler: `grants.sign`
//! for [`sign`], `grants.verify` for [`verify`]. A native test gets its keys from [`provide`].

#[cfg(not(target_arch = "wasm32"))]
pub use crate::host::provide;

use crate::host;

/// Returns the HMAC-SHA256 of `data` under a key of the source: 32 bytes.
///
/// A key that `grants.sign` does not name ends the handler in a fault of kind `grant`; the call does not
/// return.
///
/// # Panics
/// In a native test, if the key was not [provided](provide).
pub fn sign(key: &str, data: &[u8]) -> Vec<u8> {
    host::sign(key, data)
}

/// Returns true if `signature` is the HMAC-SHA256 of `data` under a key of the source. The comparison takes
/// the same time wherever the two differ.
///
/// A key that `grants.verify` does not name ends the handler in a fault of kind `grant`; the call does not
/// return.
///
/// # Panics
/// In a native test, if the key was not [provided](provide).
pub fn verify(key: &str, data: &[u8], signature: &[u8]) -> bool {
    host::verify(key, data, signature)
}
