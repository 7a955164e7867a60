//! The grants of a binding, prepared for use.

use std::collections::HashMap;

use floodgate_event::grant::Grants;
use floodgate_event::{Name, Secret};
use hmac::{Hmac, KeyInit as _, Mac as _};
use prometheus::IntCounter;
use sha2::Sha256;

/// The most that one call adds to a counter, far below where it would wrap.
const MAX_COUNT: u64 = 1 << 32;

/// What a run may ask of the host.
#[derive(Debug)]
pub struct Granted {
    pub(crate) log: bool,
    pub(crate) clock: bool,
    pub(crate) random: bool,
    counters: HashMap<String, IntCounter>,
    sign: HashMap<String, Key>,
    verify: HashMap<String, Key>,
}

/// The hash state of a key after its first block. Each use begins with a copy.
#[derive(Clone)]
struct Key(Hmac<Sha256>);

impl Granted {
    /// Prepares the grants of a binding. `counter` returns the metric of a counter.
    ///
    /// # Errors
    /// If a key is granted that the source does not have.
    pub fn new(
        grants: &Grants,
        keys: &HashMap<Name, Secret>,
        counter: impl Fn(&Name) -> IntCounter,
    ) -> Result<Self, UnknownKey> {
        let ready = |name: &Name| {
            let secret = keys.get(name).ok_or_else(|| UnknownKey { key: name.clone() })?;
            Ok((name.to_string(), Key::new(secret)))
        };
        Ok(Self {
            log: grants.log,
            clock: grants.clock,
            random: grants.random,
            counters: grants.counters.iter().map(|name| (name.to_string(), counter(name))).collect(),
            sign: grants.sign.iter().map(ready).collect::<Result<_, _>>()?,
            verify: grants.verify.iter().map(ready).collect::<Result<_, _>>()?,
        })
    }

    /// The same, with counters that nobody reads.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn uncounted(grants: &Grants, keys: &HashMap<Name, Secret>) -> Result<Self, UnknownKey> {
        // A literal that prometheus accepts as a name.
        #[allow(clippy::expect_used)]
        let counter = |_: &Name| IntCounter::new("uncounted", "Not registered").expect("a metric's name");
        Self::new(grants, keys, counter)
    }

    pub(crate) fn sign(&self, key: &str, data: &[u8]) -> Result<Vec<u8>, NotGranted> {
        let key = self.sign.get(key).ok_or_else(|| NotGranted::new("sign with key", key))?;
        Ok(key.mac(data).finalize().into_bytes().to_vec())
    }

    pub(crate) fn verify(&self, key: &str, data: &[u8], signature: &[u8]) -> Result<bool, NotGranted> {
        let key = self.verify.get(key).ok_or_else(|| NotGranted::new("verify with key", key))?;
        Ok(key.mac(data).verify_slice(signature).is_ok())
    }

    pub(crate) fn count(&self, name: &str, amount: u64) -> Result<(), NotGranted> {
        let counter = self.counters.get(name).ok_or_else(|| NotGranted::new("move counter", name))?;
        counter.inc_by(amount.min(MAX_COUNT));
        Ok(())
    }
}

/// The grants of a binding without any.
impl Default for Granted {
    fn default() -> Self {
        let (counters, sign, verify) = Default::default();
        Self { log: true, clock: true, random: true, counters, sign, verify }
    }
}

impl Key {
    fn new(secret: &Secret) -> Self {
        // HMAC takes keys of any length.
        #[allow(clippy::expect_used)]
        Self(Hmac::new_from_slice(secret.expose().as_bytes()).expect("any key"))
    }

    fn mac(&self, data: &[u8]) -> Hmac<Sha256> {
        self.0.clone().chain_update(data)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// A binding grants a key that its source does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key `{key}` is granted, and the source has no such key")]
pub struct UnknownKey {
    key: Name,
}

/// The most bytes of a name that a message repeats.
const MAX_NAME_BYTES: usize = 64;

/// A handler asked for something that its binding does not grant. This ends the run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the binding does not grant to {what} `{name}`")]
pub(crate) struct NotGranted {
    what: &'static str,
    name: String,
}

impl NotGranted {
    fn new(what: &'static str, name: &str) -> Self {
        Self { what, name: crate::log::printable(name, MAX_NAME_BYTES) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(grants: &str) -> Result<Granted, UnknownKey> {
        let grants = serde_json::from_str(grants).unwrap();
        let keys = HashMap::from([("partner".parse().unwrap(), Secret::new("Jefe"))]);
        Granted::new(&grants, &keys, |name| IntCounter::new(name.as_str().to_owned(), "a").unwrap())
    }

    #[test]
    fn keys_sign_as_rfc_4231_says_and_only_where_granted() {
        let granted = granted(r#"{"sign": ["partner"]}"#).unwrap();
        let mac = granted.sign("partner", b"what do ya want for nothing?").unwrap();
        assert_eq!(hex::encode(&mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert!(granted.verify("partner", b"", &mac).is_err(), "signing is not verifying");
        assert!(granted.sign("other", b"").is_err());
        assert!(!format!("{granted:?}").contains("Jefe"));
    }

    #[test]
    fn signatures_are_verified() {
        let granted = granted(r#"{"sign": ["partner"], "verify": ["partner"]}"#).unwrap();
        let mac = granted.sign("partner", b"data").unwrap();
        assert_eq!(granted.verify("partner", b"data", &mac), Ok(true));
        for (data, signature) in [(&b"Data"[..], &mac[..]), (b"data", &mac[..31]), (b"data", b"")] {
            assert_eq!(granted.verify("partner", data, signature), Ok(false));
        }
    }

    #[test]
    fn a_key_that_is_not_there_and_a_counter_that_is_not_granted_are_named() {
        let error = granted(r#"{"verify": ["gone"]}"#).unwrap_err();
        assert_eq!(error.to_string(), "key `gone` is granted, and the source has no such key");
        let granted = granted(r#"{"counters": ["seen"]}"#).unwrap();
        granted.count("seen", 2).unwrap();
        assert_eq!(granted.counters["seen"].get(), 2);
        let error = granted.count("se\nen", 1).unwrap_err().to_string();
        assert_eq!(error, "the binding does not grant to move counter `se\\u{a}en`");
    }
}
