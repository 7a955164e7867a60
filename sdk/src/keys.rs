//! Keys that the host holds: a handler signs and verifies with them, and never sees them.
//!
//! The source's configuration has the keys, and its binding grants each to the handler.
//! In a native test a key is what [`provide`] says.

/// The HMAC-SHA256 ([RFC 2104](https://www.rfc-editor.org/rfc/rfc2104)) of `data` under a key of the source:
/// 32 bytes. A key that is not granted ends the handler.
pub fn sign(key: &str, data: &[u8]) -> Vec<u8> {
    host::sign(key, data)
}

/// Whether `signature` is the HMAC-SHA256 of `data`, compared in constant time.
pub fn verify(key: &str, data: &[u8], signature: &[u8]) -> bool {
    host::verify(key, data, signature)
}

#[cfg(target_arch = "wasm32")]
use crate::glue as host;

#[cfg(not(target_arch = "wasm32"))]
pub use native::provide;

#[cfg(not(target_arch = "wasm32"))]
use native as host;

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::cell::RefCell;
    use std::collections::HashMap;

    use hmac::{Hmac, KeyInit as _, Mac as _};
    use sha2::Sha256;

    thread_local! {
        static KEYS: RefCell<HashMap<String, Vec<u8>>> = RefCell::default();
    }

    /// Gives this thread's tests a key.
    ///
    /// ```
    /// use floodgate_sdk::keys;
    ///
    /// keys::provide("partner", "a secret");
    /// let signature = keys::sign("partner", b"data");
    /// assert!(keys::verify("partner", b"data", &signature));
    /// assert!(!keys::verify("partner", b"other", &signature));
    /// ```
    pub fn provide(name: impl Into<String>, secret: impl Into<Vec<u8>>) {
        KEYS.with_borrow_mut(|keys| keys.insert(name.into(), secret.into()));
    }

    pub(super) fn sign(key: &str, data: &[u8]) -> Vec<u8> {
        mac(key, data).finalize().into_bytes().to_vec()
    }

    pub(super) fn verify(key: &str, data: &[u8], signature: &[u8]) -> bool {
        mac(key, data).verify_slice(signature).is_ok()
    }

    /// Panics without the key, as a component traps that was not granted it.
    fn mac(key: &str, data: &[u8]) -> Hmac<Sha256> {
        KEYS.with_borrow(|keys| {
            let Some(secret) = keys.get(key) else { panic!("key `{key}` is not provided") };
            // HMAC takes keys of any length.
            #[allow(clippy::expect_used)]
            Hmac::new_from_slice(secret).expect("any key").chain_update(data)
        })
    }
}
