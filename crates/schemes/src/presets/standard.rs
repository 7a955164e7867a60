//! [Standard Webhooks](https://www.standardwebhooks.com): version 1 with secrets (`whsec_…`), and version 1a
//! with public keys (`whpk_…`). GitLab's signing tokens are secrets of this kind. Some services that use Svix
//! need the preset `svix` instead.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use floodgate_event::scheme::{Algorithm, Encoding, Settings};
use floodgate_event::source::Locator;
use floodgate_event::standard_webhooks::{ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, key_bytes};
use http::HeaderMap;

use crate::digest::{self, Key};
use crate::header::{number, require_fresh, single};
use crate::keys::{self, Named, Secrets};
use crate::preset::{At, Description, Preset, Signing};
use crate::verify::Verify;
use crate::{Failure, InvalidSettings, Request, Signed, Unsigned, template};

pub(super) fn preset() -> Preset {
    let signing = Signing::Code(|settings, secrets| prepare(&WEBHOOK, settings, secrets));
    Preset {
        documentation: "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md",
        uses: &["secrets", "public_keys"],
        tolerance_seconds: Some(300),
        id: Some(At::Header(WEBHOOK.id)),
        event_type: Some(At::Json("/type")),
        words: |_| words(&WEBHOOK),
        ..Preset::coded("standard", "Standard Webhooks", signing)
    }
}

/// The names of the headers.
pub(super) struct Names {
    pub(super) id: &'static str,
    pub(super) timestamp: &'static str,
    pub(super) signature: &'static str,
}

const WEBHOOK: Names = Names { id: ID_HEADER, timestamp: TIMESTAMP_HEADER, signature: SIGNATURE_HEADER };

/// What stands before a public key.
const PUBLIC_PREFIX: &str = "whpk_";

struct Standard {
    names: &'static Names,
    keys: Vec<Named<Key>>,
    tolerance: u64,
}

/// What the scheme asks for in headers of these names.
pub(super) fn words(names: &'static Names) -> Description {
    let Names { id, timestamp, signature } = *names;
    vec![
        ("header", format!("{signature}: v1,<signature>, or several of them with a space between two")),
        ("id", format!("the header {id}, without a full stop")),
        ("time", format!("the header {timestamp}, in whole seconds")),
        ("algorithm", "HMAC-SHA256 (v1), or Ed25519 (v1a)".to_owned()),
        ("written in", "base64 with padding".to_owned()),
        ("key", "what follows `whsec_`, decoded from base64; for v1a what follows `whpk_`".to_owned()),
        ("signed", "{id}.{timestamp}.{body}".to_owned()),
    ]
}

/// Prepares the scheme with headers of these names.
pub(super) fn prepare(
    names: &'static Names,
    settings: &Settings,
    secrets: &Secrets,
) -> Result<Box<dyn Verify>, InvalidSettings> {
    let public = template::public_keys(settings);
    let mut keys = vec![];
    if !secrets.is_empty() || public.is_empty() {
        keys = keys::prepare(secrets, secret_key)?;
    }
    if !public.is_empty() {
        keys.extend(keys::prepare(&public, |text| public_key(text).ok_or_else(not_public))?);
    }
    // 0 is the strictest reading of a tolerance that is missing.
    Ok(Box::new(Standard { names, keys, tolerance: settings.tolerance_seconds.unwrap_or_default() }))
}

/// Only a text without the prefix of public keys becomes a key for HMAC.
fn secret_key(text: &str) -> Result<Key, InvalidSettings> {
    if text.starts_with(PUBLIC_PREFIX) {
        return public_key(text).ok_or(InvalidSettings::Key("`whpk_` and 32 bytes of base64"));
    }
    let bytes = key_bytes(text).ok_or(InvalidSettings::Key("`whsec_` and 24 to 75 bytes of base64"))?;
    Ok(Key::new(Algorithm::HmacSha256, &bytes))
}

/// Makes a key that only verifies, with or without the prefix. It must never become a key for HMAC: everybody
/// may know a public key, and could then sign.
fn public_key(text: &str) -> Option<Key> {
    let bytes = BASE64.decode(text.strip_prefix(PUBLIC_PREFIX).unwrap_or(text)).ok()?;
    (bytes.len() == 32).then(|| Key::new(Algorithm::Ed25519, &bytes))
}

fn not_public() -> InvalidSettings {
    let why = "expected `whpk_` and 32 bytes of base64; a `whsec_` belongs in `secrets`".to_owned();
    InvalidSettings::Setting { setting: "public_keys", why }
}

impl Verify for Standard {
    fn require(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let Names { id, timestamp, signature } = self.names;
        [id, timestamp, signature].iter().try_for_each(|name| single(headers, name).map(drop))
    }

    fn verify(&self, request: &Request<'_>) -> Result<&str, Failure> {
        let names = self.names;
        let id = single(request.headers, names.id)?;
        // If an id contained a full stop, it would be unclear where the id ends and the time begins.
        if id.is_empty() || id.contains('.') {
            return Err(Failure::malformed(names.id, "an id without a full stop"));
        }
        let timestamp = single(request.headers, names.timestamp)?;
        let signed = number(timestamp);
        let signed = signed.ok_or_else(|| Failure::malformed(names.timestamp, "a time in whole seconds"))?;
        let signatures = single(request.headers, names.signature)?;
        require_fresh(signed, request.now, self.tolerance)?;
        let parts = [id.as_bytes(), b".", timestamp.as_bytes(), b".", request.body];
        keys::find(&self.keys, |key| is_signed_by(key, &parts, signatures))
    }

    fn covers(&self, locator: &Locator) -> bool {
        match locator {
            Locator::Json(_) => true,
            Locator::Header(name) => name == self.names.id,
        }
    }

    fn sign(&self, message: &Unsigned<'_>) -> Option<Signed> {
        let now = message.now.to_string();
        let parts = [message.id.as_bytes(), b".", now.as_bytes(), b".", message.body];
        let tag = self.keys.iter().find_map(|named| named.key.sign(&parts))?;
        let signature = format!("v1,{}", digest::encode(Encoding::Base64, tag.as_ref()));
        let Names { id, timestamp, signature: name } = *self.names;
        template::headers(vec![
            (id.to_owned(), message.id.to_owned()),
            (timestamp.to_owned(), now),
            (name.to_owned(), signature),
        ])
    }
}

/// Returns true if the key made one of the signatures of its version.
fn is_signed_by(key: &Key, parts: &[&[u8]], signatures: &str) -> bool {
    let version = match key {
        Key::Shared(_) => "v1,",
        Key::Public(_) => "v1a,",
    };
    let theirs = signatures.split(' ').filter_map(|part| part.strip_prefix(version));
    key.made_one(parts, Encoding::Base64, theirs)
}
