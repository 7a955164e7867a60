//! Mailgun. It signs a time and a random token, which are in the body, and not the event beside them. Whoever
//! has one signed request can send any event with its token. So the token is the id, and each token is
//! accepted once.
//!
//! The tolerance is 8 hours, because Mailgun retries for that long. Mailgun does not say that it signs a
//! retry anew, and the first retry comes after 300 s. Deduplication remembers tokens for longer.

use floodgate_event::scheme::{Algorithm, Encoding, KeyFormat, Settings};
use floodgate_event::source::Locator;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::json;

use crate::digest::{self, Key};
use crate::header::{number, require_fresh, same};
use crate::keys::{self, Named, Secrets};
use crate::preset::{At, Preset, Signing};
use crate::verify::Verify;
use crate::{Failure, InvalidSettings, Request, Signed, Unsigned, fields};

/// The length of a token, in bytes. Nothing separates the time from the token, so only the length tells where
/// the token begins.
const TOKEN_BYTES: usize = 50;
const TOKEN: &str = "/signature/token";
const TIMESTAMP: &str = "/signature/timestamp";

pub(super) fn preset() -> Preset {
    Preset {
        body_begins: "{",
        documentation: "https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks",
        tolerance_seconds: Some(8 * 3_600),
        id: Some(At::Json(TOKEN)),
        event_type: Some(At::Json("/event-data/event")),
        ..Preset::coded("mailgun", "Mailgun", Signing::Code(prepare))
    }
}

struct Mailgun {
    keys: Vec<Named<Key>>,
    tolerance: u64,
}

#[derive(Deserialize)]
struct Body {
    signature: Signature,
}

#[derive(Deserialize)]
struct Signature {
    timestamp: Time,
    token: String,
    signature: String,
    /// The same, signed by the key of the account that the sending account belongs to.
    #[serde(rename = "parent-signature")]
    parent: Option<String>,
}

/// Mailgun's documentation says that the time is a number, and its examples have a string.
#[derive(Deserialize)]
#[serde(untagged)]
enum Time {
    Text(String),
    Number(u64),
}

fn prepare(settings: &Settings, secrets: &Secrets) -> Result<Box<dyn Verify>, InvalidSettings> {
    let keys = keys::prepare(secrets, |text| keys::parse(Algorithm::HmacSha256, KeyFormat::Utf8, text))?;
    // 0 is the strictest reading of a tolerance that is missing.
    Ok(Box::new(Mailgun { keys, tolerance: settings.tolerance_seconds.unwrap_or_default() }))
}

impl Verify for Mailgun {
    fn require(&self, _headers: &HeaderMap) -> Result<(), Failure> {
        Ok(())
    }

    fn verify(&self, request: &Request<'_>) -> Result<&str, Failure> {
        let Body { signature } = fields::read(request.body, "JSON with `signature`")?;
        let timestamp = match signature.timestamp {
            Time::Text(text) => text,
            Time::Number(seconds) => seconds.to_string(),
        };
        let signed = number(&timestamp);
        let signed = signed.ok_or_else(|| Failure::malformed(TIMESTAMP, "a time in whole seconds"))?;
        if signature.token.len() != TOKEN_BYTES {
            return Err(Failure::malformed(TOKEN, format!("{TOKEN_BYTES} bytes")));
        }
        // A parser reads a list as it reads an object. The id is only found in an object.
        if fields::text(request.body, TOKEN)? != signature.token {
            return Err(Failure::malformed(TOKEN, "the token that is signed"));
        }
        require_fresh(signed, request.now, self.tolerance)?;
        keys::find(&self.keys, |key| {
            let ours = tag(key, &timestamp, &signature.token);
            let all = [Some(&signature.signature), signature.parent.as_ref()];
            let is_ours = |theirs: &String| same(ours.as_bytes(), theirs.as_bytes());
            !ours.is_empty() && all.into_iter().flatten().any(is_ours)
        })
    }

    fn covers(&self, locator: &Locator) -> bool {
        matches!(locator, Locator::Json(pointer) if pointer == TOKEN || pointer == TIMESTAMP)
    }

    /// Whatever the event beside them says.
    fn content(&self, request: &Request<'_>) -> Option<Vec<u8>> {
        Some(fields::text(request.body, TOKEN).ok()?.into_bytes())
    }

    /// Derives the token from the id of the message, so that a retry has the same token.
    fn sign(&self, message: &Unsigned<'_>) -> Option<Signed> {
        let digest = ring::digest::digest(&ring::digest::SHA256, message.id.as_bytes());
        let token = hex::encode(digest).get(..TOKEN_BYTES)?.to_owned();
        let timestamp = message.now.to_string();
        let signature = tag(&self.keys.first()?.key, &timestamp, &token);
        let mut body = floodgate_json::Edit::new(message.body).ok()?;
        let signature = json!({"timestamp": timestamp, "token": token, "signature": signature});
        body.set("/signature", &signature).ok()?;
        Some(Signed { body: Some(body.into_bytes()), ..Signed::default() })
    }
}

fn tag(key: &Key, timestamp: &str, token: &str) -> String {
    let tag = key.sign(&[timestamp.as_bytes(), token.as_bytes()]);
    tag.map(|tag| digest::encode(Encoding::Hex, tag.as_ref())).unwrap_or_default()
}
