//! HubSpot's first version, which hashes the secret and the body.
//!
//! The hash is plain SHA-256, not an HMAC. From the hash of a message anyone can compute the hash of that
//! message followed by padding and more bytes (a length extension). The padding begins with 0x80, which no
//! character in UTF-8 does. So only bodies in UTF-8 are accepted. HubSpot sends JSON.

use floodgate_event::source::Locator;
use http::HeaderMap;
use ring::digest::{Context, SHA256};

use crate::header::{same, single};
use crate::keys::{self, Named, Secrets};
use crate::preset::{Preset, Signing};
use crate::verify::Verify;
use crate::{Failure, InvalidSettings, Request, Signed, Unsigned, template};

const SIGNATURE: &str = "x-hubspot-signature";
const VERSION: &str = "x-hubspot-signature-version";

pub(super) fn preset() -> Preset {
    let signing = Signing::Code(|_, secrets| prepare(Version::V1, secrets));
    Preset {
        documentation: "https://developers.hubspot.com/docs/apps/legacy-apps/authentication/validating-requests",
        ..Preset::coded("hubspot-v1", "HubSpot v1", signing)
    }
}

/// What is hashed after the secret.
#[derive(Clone, Copy)]
pub(super) enum Version {
    /// The body.
    V1,
    /// Method, URL and body.
    V2,
}

struct Hashed {
    version: Version,
    /// For each secret, a hash that has read the secret and waits for the rest.
    keys: Vec<Named<Context>>,
}

/// Prepares version 1 or 2 of the scheme.
pub(super) fn prepare(version: Version, secrets: &Secrets) -> Result<Box<dyn Verify>, InvalidSettings> {
    let begin = |secret: &str| {
        let mut context = Context::new(&SHA256);
        context.update(secret.as_bytes());
        Ok(context)
    };
    Ok(Box::new(Hashed { version, keys: keys::prepare(secrets, begin)? }))
}

impl Verify for Hashed {
    fn require(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let name = self.version.name();
        if single(headers, VERSION)? != name {
            return Err(Failure::malformed(VERSION, name));
        }
        single(headers, SIGNATURE).map(drop)
    }

    fn verify(&self, request: &Request<'_>) -> Result<&str, Failure> {
        self.require(request.headers)?;
        let theirs = single(request.headers, SIGNATURE)?;
        if std::str::from_utf8(request.body).is_err() {
            return Err(Failure::malformed("the body", "UTF-8"));
        }
        if matches!(self.version, Version::V2) {
            // Nothing stands between URL and body, so that bytes could move from one into the other.
            let query = request.url.split_once('?').map_or("", |(_, query)| query);
            template::require_start_of_body(query, request.body)?;
        }
        let parts = self.version.parts(request.method, request.url, request.body);
        keys::find(&self.keys, |key| same(hash(key, parts).as_bytes(), theirs.as_bytes()))
    }

    fn covers(&self, locator: &Locator) -> bool {
        matches!(locator, Locator::Json(_))
    }

    fn sign(&self, message: &Unsigned<'_>) -> Option<Signed> {
        let parts = self.version.parts(message.method, message.url, message.body);
        let signature = hash(&self.keys.first()?.key, parts);
        let version = self.version.name().to_owned();
        template::headers(vec![(SIGNATURE.to_owned(), signature), (VERSION.to_owned(), version)])
    }
}

impl Version {
    fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
    }

    fn parts<'a>(self, method: &'a str, url: &'a str, body: &'a [u8]) -> [&'a [u8]; 3] {
        match self {
            Self::V1 => [b"", b"", body],
            Self::V2 => [method.as_bytes(), url.as_bytes(), body],
        }
    }
}

fn hash(key: &Context, parts: [&[u8]; 3]) -> String {
    let mut context = key.clone();
    parts.iter().for_each(|part| context.update(part));
    hex::encode(context.finish())
}
