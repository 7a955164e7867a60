//! Coinbase Developer Platform, which sends by [Hook0](https://github.com/hook0/hook0). Version 0 of the
//! signature covers the time and the body. Version 1 also covers the headers that the signature names.
//!
//! If a request has both, version 1 counts, as in Hook0's own clients, so that nobody can choose the weaker
//! one.

use floodgate_event::scheme::{Algorithm, Encoding, KeyFormat, Settings};
use floodgate_event::source::Locator;
use http::HeaderMap;

use crate::digest::{self, Key};
use crate::header::{number, require_fresh, same, single};
use crate::keys::{self, Named, Secrets};
use crate::preset::{At, Preset, Signing};
use crate::verify::Verify;
use crate::{Failure, InvalidSettings, Request, Signed, Unsigned, template};

const SIGNATURE: &str = "x-hook0-signature";
const EVENT_ID: &str = "x-event-id";
const EVENT_TYPE: &str = "x-event-type";
/// The most `name=value` pairs in a signature. Coinbase sends four.
const MAX_PAIRS: usize = 16;
/// The most headers that a signature names. Coinbase names three.
const MAX_HEADERS: usize = 32;

pub(super) fn preset() -> Preset {
    Preset {
        documentation: "https://docs.cdp.coinbase.com/webhooks/verify-signatures",
        tolerance_seconds: Some(300),
        id: Some(At::Header(EVENT_ID)),
        event_type: Some(At::Header(EVENT_TYPE)),
        ..Preset::coded("coinbase-cdp", "Coinbase Developer Platform", Signing::Code(prepare))
    }
}

struct Hook0 {
    keys: Vec<Named<Key>>,
    tolerance: u64,
}

/// The parts of the signature's header.
struct Parts<'a> {
    timestamp: &'a str,
    signed: u64,
    version: Version<'a>,
}

enum Version<'a> {
    V0 { signature: &'a str },
    V1 { signature: &'a str, names: &'a str },
}

fn prepare(settings: &Settings, secrets: &Secrets) -> Result<Box<dyn Verify>, InvalidSettings> {
    let keys = keys::prepare(secrets, |text| keys::parse(Algorithm::HmacSha256, KeyFormat::Utf8, text))?;
    // 0 is the strictest reading of a tolerance that is missing.
    Ok(Box::new(Hook0 { keys, tolerance: settings.tolerance_seconds.unwrap_or_default() }))
}

impl Verify for Hook0 {
    fn require(&self, headers: &HeaderMap) -> Result<(), Failure> {
        Parts::of(headers).map(drop)
    }

    fn verify(&self, request: &Request<'_>) -> Result<&str, Failure> {
        let Parts { timestamp, signed, version } = Parts::of(request.headers)?;
        let (theirs, before) = match version {
            Version::V0 { signature } => (signature, format!("{timestamp}.")),
            Version::V1 { signature, names } => {
                let values = values(request.headers, names)?.join(".");
                (signature, format!("{timestamp}.{names}.{values}."))
            }
        };
        require_fresh(signed, request.now, self.tolerance)?;
        keys::find(&self.keys, |key| {
            tag(key, &before, request.body).is_some_and(|ours| same(ours.as_bytes(), theirs.as_bytes()))
        })
    }

    /// No header is covered, because a request need not have version 1.
    fn covers(&self, locator: &Locator) -> bool {
        matches!(locator, Locator::Json(_))
    }

    fn sign(&self, message: &Unsigned<'_>) -> Option<Signed> {
        let key = &self.keys.first()?.key;
        let before = format!("{}.", message.now);
        let mut value = format!("t={},v0={}", message.now, tag(key, &before, message.body)?);
        let is_there = |name: &&str| single(message.headers, name).is_ok();
        let names: Vec<&str> = ["content-type", EVENT_ID, EVENT_TYPE].into_iter().filter(is_there).collect();
        if !names.is_empty() {
            let names = names.join(" ");
            let values = values(message.headers, &names).ok()?.join(".");
            let signature = tag(key, &format!("{before}{names}.{values}."), message.body)?;
            value.push_str(&format!(",h={names},v1={signature}"));
        }
        template::headers(vec![(SIGNATURE.to_owned(), value)])
    }
}

impl<'a> Parts<'a> {
    fn of(headers: &'a HeaderMap) -> Result<Self, Failure> {
        let pairs: Vec<&str> = single(headers, SIGNATURE)?.split(',').take(MAX_PAIRS + 1).collect();
        if pairs.len() > MAX_PAIRS {
            return Err(Failure::malformed(SIGNATURE, format!("at most {MAX_PAIRS} pairs")));
        }
        let timestamp = pair(&pairs, "t")?.unwrap_or_default();
        let signed = number(timestamp).filter(|_| !timestamp.is_empty());
        let signed =
            signed.ok_or_else(|| Failure::malformed(SIGNATURE, "`t=` and a time in whole seconds"))?;
        let version = match (pair(&pairs, "v1")?, pair(&pairs, "h")?, pair(&pairs, "v0")?) {
            (Some(signature), Some(names), _) => Version::V1 { signature, names },
            (None, _, Some(signature)) => Version::V0 { signature },
            _ => return Err(Failure::malformed(SIGNATURE, "`v1=` and `h=`, or `v0=`")),
        };
        Ok(Self { timestamp, signed, version })
    }
}

/// Returns the value of a pair, which must not occur twice.
fn pair<'a>(pairs: &[&'a str], name: &str) -> Result<Option<&'a str>, Failure> {
    let values = pairs.iter().filter_map(|pair| pair.split_once('=')).filter(|(key, _)| *key == name);
    let mut values = values.map(|(_, value)| value);
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(Failure::malformed(SIGNATURE, format!("one `{name}=`"))),
    }
}

/// Returns the values of these headers, in the order of the names.
fn values<'a>(headers: &'a HeaderMap, names: &str) -> Result<Vec<&'a str>, Failure> {
    let names: Vec<&str> = names.split(' ').take(MAX_HEADERS + 1).collect();
    if names.len() > MAX_HEADERS {
        return Err(Failure::malformed(SIGNATURE, format!("at most {MAX_HEADERS} names in `h=`")));
    }
    names.into_iter().map(|name| single(headers, name)).collect()
}

fn tag(key: &Key, before: &str, body: &[u8]) -> Option<String> {
    Some(digest::encode(Encoding::Hex, key.sign(&[before.as_bytes(), body])?.as_ref()))
}
