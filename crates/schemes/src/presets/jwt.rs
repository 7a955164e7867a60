//! A bearer token in `Authorization`, as Google Pub/Sub, Azure Event Grid and others send it.
//!
//! The token says who sends, and nothing about the body. Whoever sees one request can send any other until
//! the token expires. Unlike a secret in a header, a token lasts about an hour, and Floodgate stores no
//! secret.

use floodgate_event::scheme::Settings;
use floodgate_event::source::Locator;
use http::HeaderMap;
use serde::Deserialize;

use crate::header::single;
use crate::jwt::{self, Jwk, Token};
use crate::keys::{PUBLISHED, Secrets};
use crate::preset::{Preset, Signing};
use crate::verify::Verify;
use crate::{Failure, Fetch, InvalidSettings, Request, address};

const HEADER: &str = "authorization";
/// How many keys of one name are tried for a token.
const MAX_TRIED: usize = 8;

pub(super) fn preset() -> Preset {
    Preset {
        uses: &["jwks_url", "issuer", "audience", "subject"],
        documentation: "https://www.rfc-editor.org/rfc/rfc7519",
        tolerance_seconds: Some(60),
        secret_headers: &[HEADER],
        ..Preset::coded("jwt", "JSON Web Token", Signing::Code(prepare))
    }
}

struct Bearer {
    jwks_url: String,
    issuer: String,
    audience: String,
    subject: Option<String>,
    tolerance: u64,
}

fn prepare(settings: &Settings, _secrets: &Secrets) -> Result<Box<dyn Verify>, InvalidSettings> {
    let jwks_url = needed("jwks_url", &settings.jwks_url, "the keys of the issuer are published there")?;
    address::require_plain("jwks_url", &jwks_url)?;
    Ok(Box::new(Bearer {
        jwks_url,
        issuer: needed("issuer", &settings.issuer, "a token of another issuer must not be accepted")?,
        audience: needed(
            "audience",
            &settings.audience,
            "a token that is for somebody else must not be accepted",
        )?,
        subject: settings.subject.clone(),
        tolerance: settings.tolerance_seconds.unwrap_or_default(),
    }))
}

fn needed(
    setting: &'static str,
    value: &Option<String>,
    why: &'static str,
) -> Result<String, InvalidSettings> {
    let value = value.clone().filter(|value| !value.is_empty());
    value.ok_or(InvalidSettings::Needs { setting, why })
}

#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    aud: Option<OneOrMore>,
    sub: Option<String>,
    /// Times are numbers of seconds, perhaps with a fraction.
    exp: Option<f64>,
    nbf: Option<f64>,
    iat: Option<f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl Verify for Bearer {
    fn require(&self, headers: &HeaderMap) -> Result<(), Failure> {
        single(headers, HEADER).map(drop)
    }

    fn verify(&self, request: &Request<'_>) -> Result<&str, Failure> {
        let token = bearer(single(request.headers, HEADER)?).and_then(Token::parse);
        let token = token.ok_or_else(|| malformed("`Bearer` and a JSON Web Token"))?;
        if token.algorithm.is_none() {
            return Err(malformed("a token signed by RS256, ES256 or EdDSA"));
        }
        let claims: Claims = token.claims().ok_or_else(|| malformed("claims as in RFC 7519"))?;
        claims.require_fresh(request.now, self.tolerance)?;
        let keys = self.keys(&token, request)?;
        if !keys.iter().any(|key| token.is_signed_by(key)) {
            return Err(Failure::NoMatch { keys: keys.len() });
        }
        self.accept(&claims)?;
        Ok(PUBLISHED)
    }

    /// Whoever has a token can send anything, so no part of a request is less covered than another.
    fn covers(&self, _locator: &Locator) -> bool {
        true
    }

    fn publishers(&self) -> Vec<&str> {
        vec![&self.jwks_url]
    }

    fn is_key(&self, bytes: &[u8]) -> bool {
        jwt::set(bytes).is_some()
    }

    fn fetch(&self, address: &str) -> Option<Fetch> {
        (address == self.jwks_url).then(|| Fetch { url: self.jwks_url.clone(), post: None })
    }
}

impl Bearer {
    /// Returns the keys of the token's algorithm that the token names. An issuer may have several of one
    /// name. A token may leave the name out only if the issuer has one key.
    fn keys(&self, token: &Token<'_>, request: &Request<'_>) -> Result<Vec<Jwk>, Failure> {
        let unknown = || Failure::UnknownKey(self.jwks_url.clone());
        let bytes = request.published.get(&self.jwks_url).ok_or_else(unknown)?;
        let set = jwt::set(&bytes);
        let why = "not a set of keys, or too long";
        let set = set.ok_or_else(|| Failure::UnusableKey { url: self.jwks_url.clone(), why })?;
        if token.key_id.is_none() && set.len() > 1 {
            return Err(malformed("a token with `kid`, because the issuer has several keys"));
        }
        let is_named = |key: &Jwk| token.key_id.is_none() || key.id == token.key_id;
        let fits = |key: &Jwk| is_named(key) && Some(key.algorithm) == token.algorithm;
        let keys: Vec<Jwk> = set.into_iter().filter(fits).take(MAX_TRIED).collect();
        if keys.is_empty() { Err(unknown()) } else { Ok(keys) }
    }

    /// Refuses a token that is for somebody else.
    fn accept(&self, claims: &Claims) -> Result<(), Failure> {
        let is_ours = match &claims.aud {
            Some(OneOrMore::One(audience)) => *audience == self.audience,
            Some(OneOrMore::More(audiences)) => audiences.contains(&self.audience),
            None => false,
        };
        let refused = |what: &str| Err(Failure::NotAllowed { what: format!("the `{what}` of the token") });
        match () {
            () if claims.iss.as_ref() != Some(&self.issuer) => refused("iss"),
            () if !is_ours => refused("aud"),
            () if self.subject.is_some() && claims.sub != self.subject => refused("sub"),
            () => Ok(()),
        }
    }
}

impl Claims {
    /// Refuses a token that has expired or is not valid yet. A token without `exp` would be a secret for
    /// ever, so it is refused too.
    fn require_fresh(&self, now: u64, tolerance: u64) -> Result<(), Failure> {
        let end = self.exp.ok_or_else(|| malformed("a token with `exp`"))?;
        let stale = |seconds: f64| Err(Failure::Stale { seconds: seconds as i64, tolerance });
        let (now, leeway) = (now as f64, tolerance as f64);
        if now >= end + leeway {
            return stale(end - now);
        }
        let begins = [self.nbf, self.iat].into_iter().flatten().fold(f64::NEG_INFINITY, f64::max);
        if begins > now + leeway { stale(begins - now) } else { Ok(()) }
    }
}

/// Returns the token after `Bearer`, whose case does not matter.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' '))
}

fn malformed(expected: &'static str) -> Failure {
    Failure::malformed(HEADER, expected)
}
