//! Plaid. A header has a token with the digest of the body. All customers share the keys, so a handler has to
//! check `item_id`.
//!
//! Plaid returns its keys one by one, to a POST with the credentials of an account. A source therefore has a
//! secret `client_id:secret`, with which the gateway fetches the keys; or it has the keys themselves in
//! `public_keys`, which the operator has to replace whenever Plaid does; or both.

use floodgate_event::Secret;
use floodgate_event::scheme::Settings;
use floodgate_event::source::Locator;
use http::HeaderMap;
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::header::{require_near, same, single};
use crate::jwt::{Algorithm, Jwk, Token};
use crate::keys::{self, Named, PUBLISHED, Secrets};
use crate::preset::{Preset, Signing};
use crate::verify::Verify;
use crate::{Failure, Fetch, InvalidSettings, Request, address, template};

const HEADER: &str = "plaid-verification";
/// The longest answer with a key, in bytes. Plaid's answers take a twentieth of that.
const MAX_ANSWER: usize = 16 * 1_024;

pub(super) fn preset() -> Preset {
    Preset {
        bodies_repeat: true,
        uses: &["secrets", "public_keys", "jwks_url"],
        documentation: "https://plaid.com/docs/api/webhooks/webhook-verification/",
        tolerance_seconds: Some(300),
        ..Preset::coded("plaid", "Plaid", Signing::Code(prepare))
    }
}

struct Plaid {
    endpoint: &'static str,
    credentials: Option<Credentials>,
    pinned: Vec<Named<Jwk>>,
    tolerance: u64,
}

struct Credentials {
    client_id: String,
    secret: Secret,
}

fn prepare(settings: &Settings, secrets: &Secrets) -> Result<Box<dyn Verify>, InvalidSettings> {
    if secrets.is_empty() && settings.public_keys.is_empty() {
        return Err(InvalidSettings::NoKey);
    }
    let endpoint = match settings.jwks_url.as_deref() {
        None | Some(address::PLAID_PRODUCTION) => address::PLAID_PRODUCTION,
        Some(address::PLAID_SANDBOX) => address::PLAID_SANDBOX,
        Some(_) => {
            let why = format!("either {} or {}", address::PLAID_PRODUCTION, address::PLAID_SANDBOX);
            return Err(InvalidSettings::Setting { setting: "jwks_url", why });
        }
    };
    let pinned = match settings.public_keys.as_slice() {
        [] => vec![],
        _ => keys::prepare(&template::public_keys(settings), pinned)?,
    };
    let credentials = secrets.first().map(|named| credentials(named.secret.expose())).transpose()?;
    let tolerance = settings.tolerance_seconds.unwrap_or_default();
    Ok(Box::new(Plaid { endpoint, credentials, pinned, tolerance }))
}

fn credentials(text: &str) -> Result<Credentials, InvalidSettings> {
    match text.split_once(':') {
        Some((client_id, secret)) if !client_id.is_empty() && !secret.is_empty() => {
            Ok(Credentials { client_id: client_id.to_owned(), secret: Secret::new(secret) })
        }
        _ => Err(InvalidSettings::Key("`client_id:secret` of an account at Plaid")),
    }
}

fn pinned(text: &str) -> Result<Jwk, InvalidSettings> {
    let key = serde_json::from_str(text).ok().and_then(Jwk::of);
    let key = key.filter(|key| key.algorithm == Algorithm::Es256 && key.id.is_some());
    key.ok_or(InvalidSettings::Key("a JSON Web Key of P-256 with `kid`, as Plaid answers in `key`"))
}

#[derive(Deserialize)]
struct Claims {
    /// Seconds, perhaps with a fraction ([RFC 7519](https://www.rfc-editor.org/rfc/rfc7519) section 2).
    iat: f64,
    request_body_sha256: String,
}

impl Verify for Plaid {
    fn require(&self, headers: &HeaderMap) -> Result<(), Failure> {
        single(headers, HEADER).map(drop)
    }

    fn verify(&self, request: &Request<'_>) -> Result<&str, Failure> {
        let token = Token::parse(single(request.headers, HEADER)?);
        let token = token.ok_or_else(|| Failure::malformed(HEADER, "a JSON Web Token"))?;
        if token.algorithm != Some(Algorithm::Es256) {
            return Err(Failure::malformed(HEADER, "a token signed by ES256"));
        }
        let id = token.key_id.as_deref().filter(|id| address::is_plaid_key(id));
        let id = id.ok_or_else(|| Failure::malformed(HEADER, "a token with `kid`"))?;
        let claims: Option<Claims> = token.claims();
        let claims =
            claims.ok_or_else(|| Failure::malformed(HEADER, "the claims `iat` and `request_body_sha256`"))?;
        require_near(claims.iat - request.now as f64, self.tolerance)?;
        let name = self.verify_with(&token, id, request)?;
        let ours = hex::encode(digest(&SHA256, request.body));
        if !same(ours.as_bytes(), claims.request_body_sha256.as_bytes()) {
            return Err(Failure::OtherBody);
        }
        Ok(name)
    }

    fn covers(&self, locator: &Locator) -> bool {
        matches!(locator, Locator::Json(_))
    }

    fn is_key(&self, bytes: &[u8]) -> bool {
        published(bytes).is_some()
    }

    fn fetch(&self, address: &str) -> Option<Fetch> {
        let id = address.strip_prefix(self.endpoint)?.strip_prefix('#')?;
        let Credentials { client_id, secret } = self.credentials.as_ref()?;
        let post = json!({"client_id": client_id, "secret": secret.expose(), "key_id": id}).to_string();
        let fetch = Fetch { url: self.endpoint.to_owned(), post: Some(Secret::new(post)) };
        address::is_plaid_key(id).then_some(fetch)
    }
}

impl Plaid {
    /// Verifies the token by the key that it names. Returns the id by which envelopes name that key. A
    /// fetched key is preferred to a pinned one, because Plaid says whether it has expired.
    fn verify_with(&self, token: &Token<'_>, id: &str, request: &Request<'_>) -> Result<&str, Failure> {
        let address = address::plaid_key(self.endpoint, id);
        let has_id = |key: &Jwk| key.id.as_deref() == Some(id);
        let published = match request.published.get(&address) {
            None => None,
            Some(bytes) => Some(published(&bytes).filter(has_id).ok_or_else(|| Failure::UnusableKey {
                url: address.clone(),
                why: "not an answer with this key",
            })?),
        };
        let pinned = self.pinned.iter().find(|named| has_id(&named.key));
        let pinned = pinned.map(|named| (&named.key, &*named.id));
        let found = published.as_ref().map(|key| (key, PUBLISHED)).or(pinned);
        let (key, name) = found.ok_or_else(|| Failure::UnknownKey(address.clone()))?;
        match () {
            () if key.has_expired => Err(Failure::UnusableKey { url: address, why: "expired" }),
            () if token.is_signed_by(key) => Ok(name),
            () => Err(Failure::NoMatch { keys: 1 }),
        }
    }
}

/// Parses an answer of `/webhook_verification_key/get`.
fn published(bytes: &[u8]) -> Option<Jwk> {
    #[derive(Deserialize)]
    struct Answer {
        key: Value,
    }
    let answer: Answer = (bytes.len() <= MAX_ANSWER).then(|| serde_json::from_slice(bytes).ok()).flatten()?;
    Jwk::of(answer.key)
}
