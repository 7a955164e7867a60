//! Runs every vector of `tests-data/signatures.json`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use floodgate_event::Secret;
use floodgate_event::source::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::keys::Keys;

#[derive(Deserialize)]
struct Vector {
    provider: String,
    name: String,
    scheme: String,
    secret: OneOrMore,
    headers: BTreeMap<String, OneOrMore>,
    #[serde(default)]
    body: String,
    body_b64: Option<String>,
    now: Option<u64>,
    tolerance: Option<u64>,
    expect: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::More(more) => more,
        }
    }
}

impl Vector {
    fn scheme(&self) -> Scheme {
        match self.scheme.as_str() {
            "github-sha256" => Scheme::Github,
            "stripe-v1" => Scheme::Stripe,
            "standard-webhooks-v1" => Scheme::Standard,
            other => panic!("unknown scheme {other}"),
        }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, values) in &self.headers {
            for value in values.all() {
                let name: HeaderName = name.parse().unwrap();
                headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
        }
        headers
    }

    fn body(&self) -> Vec<u8> {
        match &self.body_b64 {
            Some(text) => BASE64.decode(text).unwrap(),
            None => self.body.clone().into_bytes(),
        }
    }

    /// A secret that is refused when the source is set up never verifies anything.
    fn holds(&self) -> bool {
        let secrets =
            self.secret.all().iter().map(|secret| (String::from("id"), Secret::new(secret.clone())));
        let Ok(keys) = Keys::new(self.scheme(), secrets.collect(), self.tolerance) else {
            return false;
        };
        keys.check(&self.headers(), &self.body(), self.now.unwrap_or_default()).is_ok()
    }
}

#[test]
fn every_vector_holds_or_not_as_it_says() {
    let vectors: Vec<Vector> =
        serde_json::from_str(include_str!("../../tests-data/signatures.json")).unwrap();
    assert!(vectors.len() >= 37, "{} vectors", vectors.len());
    let wrong: Vec<String> = vectors
        .iter()
        .filter(|vector| vector.holds() != (vector.expect == "valid"))
        .map(|vector| format!("{} {}: expected {}", vector.provider, vector.name, vector.expect))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
