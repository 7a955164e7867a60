//! Checks of fields that several documents have.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use floodgate_event::{Name, Secret};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny};
use url::Url;

use super::Invalid;

/// The longest secret, in bytes.
const MAX_SECRET_BYTES: usize = 1_024;

pub(super) fn within(path: &str, value: u64, allowed: RangeInclusive<u64>) -> Result<(), Invalid> {
    if allowed.contains(&value) {
        return Ok(());
    }
    let (least, most) = allowed.into_inner();
    Err(Invalid::new(path, format!("{value} is out of range: expected {least} to {most}")))
}

pub(super) fn at_most(path: &str, what: &str, count: usize, most: usize) -> Result<(), Invalid> {
    if count <= most {
        Ok(())
    } else {
        Err(Invalid::new(path, format!("{count} {what}, and at most {most} are allowed")))
    }
}

/// Reads a URL. The error does not quote the text, because it may contain a password.
pub(super) fn url<'de, D: Deserializer<'de>>(from: D) -> Result<Url, D::Error> {
    let text = String::deserialize(from)?;
    Url::parse(&text).map_err(|_| D::Error::custom("expected a whole URL, like `https://shop.example/hooks`"))
}

/// Checks a list of secrets. `parses` says what is wrong with one, without quoting it.
pub(super) fn secrets(
    path: &str,
    secrets: &[Secret],
    most: usize,
    parses: impl Fn(&Secret) -> Result<(), String>,
) -> Result<(), Invalid> {
    at_most(path, "secrets", secrets.len(), most)?;
    for (index, secret) in secrets.iter().enumerate() {
        let wrong = |message: String| Invalid::new(format!("{path}[{index}]"), message);
        one_secret(secret).and_then(|()| parses(secret)).map_err(wrong)?;
        if secrets[..index].contains(secret) {
            return Err(wrong("the same secret stands before it".to_owned()));
        }
    }
    Ok(())
}

fn one_secret(secret: &Secret) -> Result<(), String> {
    match secret.expose().len() {
        1..=MAX_SECRET_BYTES => secret.check().map_err(|unfit| unfit.to_string()),
        length => Err(format!("a secret has 1 to {MAX_SECRET_BYTES} bytes, and this one has {length}")),
    }
}

/// Checks that a secret has no invisible character, and is not too long.
pub(super) fn secret(path: &str, secret: &Secret) -> Result<(), Invalid> {
    one_secret(secret).map_err(|message| Invalid::new(path, message))
}

/// Reads a map of secrets, without quoting any in an error.
pub(super) fn secret_map<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<Name, Secret>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Secrets(BTreeMap<String, Secret>),
        Other(IgnoredAny),
    }
    let Given::Secrets(secrets) = Given::deserialize(from)? else {
        return Err(D::Error::custom("expected a table of texts"));
    };
    let named = |(name, secret): (String, Secret)| Ok((name.parse().map_err(D::Error::custom)?, secret));
    secrets.into_iter().map(named).collect()
}

/// Reads a list of secrets. serde's own message for a wrong type quotes the value, and this one does not.
pub(super) fn secret_list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Secret>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Secrets(Vec<Secret>),
        Other(IgnoredAny),
    }
    match Given::deserialize(from)? {
        Given::Secrets(secrets) => Ok(secrets),
        Given::Other(IgnoredAny) => Err(D::Error::custom("expected a list of texts")),
    }
}
