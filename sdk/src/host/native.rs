//! Stand-ins for native tests: keys that the test provides, log lines to standard error, counters to nowhere.

use std::cell::RefCell;
use std::collections::HashMap;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::Level;
use crate::request::Request;

thread_local! {
    static KEYS: RefCell<HashMap<String, Vec<u8>>> = RefCell::default();
}

/// Gives the tests of this thread a key, for [`sign`](crate::keys::sign) and [`verify`](crate::keys::verify).
/// A key of the same name is replaced. Only in native tests; a component does not have this function.
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

/// A test's event has its request from its builder; this is for one that has none.
pub(crate) fn request() -> Request {
    Request::default()
}

pub(crate) fn sign(key: &str, data: &[u8]) -> Vec<u8> {
    mac(key, data).finalize().into_bytes().to_vec()
}

pub(crate) fn verify(key: &str, data: &[u8], signature: &[u8]) -> bool {
    mac(key, data).verify_slice(signature).is_ok()
}

pub(crate) fn count(_name: &str, _amount: u64) {}

pub(crate) fn write(level: Level, message: &str) {
    eprintln!("{level:?}: {message}");
}

/// Panics without the key, as a component ends in a fault that was not granted it.
fn mac(key: &str, data: &[u8]) -> Hmac<Sha256> {
    KEYS.with_borrow(|keys| {
        let Some(secret) = keys.get(key) else { panic!("key `{key}` is not provided") };
        // HMAC takes keys of any length.
        #[allow(clippy::expect_used)]
        Hmac::new_from_slice(secret).expect("any key").chain_update(data)
    })
}
