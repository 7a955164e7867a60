//! The keys of a source, made ready once per revision.

use floodgate_event::Secret;
use floodgate_event::source::Scheme;
use floodgate_event::standard_webhooks::{ID_HEADER, InvalidKey, Key, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use hmac::KeyInit as _;
use http::HeaderMap;

use super::headers::single;
use super::named::{Keyed, Named};
use super::{github, standard, stripe};
use crate::accept::refusal::NotSigned;

/// The keys, by scheme.
pub(super) enum Keys {
    Github(Vec<Named<Keyed>>),
    Stripe { keys: Vec<Named<Keyed>>, tolerance: u64 },
    Standard { keys: Vec<Named<Key>>, tolerance: u64 },
}

impl Keys {
    pub(super) fn new(
        scheme: Scheme,
        secrets: Vec<(String, Secret)>,
        tolerance: Option<u64>,
    ) -> Result<Self, InvalidSecret> {
        if secrets.is_empty() {
            return Err(InvalidSecret::None);
        }
        // Schemes that sign a time have a default; 0 would be the strictest reading of a missing one.
        let tolerance = tolerance.unwrap_or_default();
        match scheme {
            Scheme::Github => Ok(Self::Github(named(secrets, keyed)?)),
            Scheme::Stripe => Ok(Self::Stripe { keys: named(secrets, keyed)?, tolerance }),
            Scheme::Standard => {
                let parse = |secret: &Secret| Key::parse(secret).map_err(InvalidSecret::Standard);
                Ok(Self::Standard { keys: named(secrets, parse)?, tolerance })
            }
        }
    }

    /// Looks for every header that the scheme signs by, before there is a body to check.
    ///
    /// # Errors
    /// If one is not there, or cannot be read.
    pub(super) fn are_named_in(&self, headers: &HeaderMap) -> Result<(), NotSigned> {
        let names: &[&'static str] = match self {
            Self::Github(_) => &[github::HEADER],
            Self::Stripe { .. } => &[stripe::HEADER],
            Self::Standard { .. } => &[ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER],
        };
        names.iter().try_for_each(|name| single(headers, name).map(drop))
    }

    /// The id of the secret that signed. `now` is Unix time in seconds.
    ///
    /// # Errors
    /// Says what is wrong with the signature, which is for the operator alone.
    pub(super) fn check(&self, headers: &HeaderMap, body: &[u8], now: u64) -> Result<&str, NotSigned> {
        match self {
            Self::Github(keys) => github::check(keys, headers, body),
            Self::Stripe { keys, tolerance } => stripe::check(keys, headers, body, now, *tolerance),
            Self::Standard { keys, tolerance } => standard::check(keys, headers, body, now, *tolerance),
        }
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

fn named<K>(
    secrets: Vec<(String, Secret)>,
    parse: impl Fn(&Secret) -> Result<K, InvalidSecret>,
) -> Result<Vec<Named<K>>, InvalidSecret> {
    secrets.into_iter().map(|(id, secret)| Ok(Named { id, key: parse(&secret)? })).collect()
}

fn keyed(secret: &Secret) -> Result<Keyed, InvalidSecret> {
    if secret.expose().is_empty() {
        return Err(InvalidSecret::Empty);
    }
    Keyed::new_from_slice(secret.expose().as_bytes()).map_err(|_| InvalidSecret::Empty)
}

/// Why a source's secrets cannot verify anything. Says nothing of the secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidSecret {
    /// There are none.
    #[error("the source has no secret")]
    None,
    /// Empty: its signatures could be made by anyone.
    #[error("a secret is empty")]
    Empty,
    /// Not of the form that the scheme asks for.
    #[error(transparent)]
    Standard(InvalidKey),
}
