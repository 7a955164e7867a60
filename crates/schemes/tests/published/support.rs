//! Keys, certificates, and requests without a network.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD as BASE64URL};
use floodgate_event::Secret;
use floodgate_schemes::{NamedSecret, PublishedKeys, Request};
use http::{HeaderMap, HeaderName, HeaderValue};
use rcgen::{CertificateParams, DnType};
use ring::rand::SystemRandom;
use ring::rsa;
use ring::signature::{self, KeyPair as _};
use serde_json::{Value, json};
use time::OffsetDateTime;

/// A key that protects nothing: `ring` makes no keys of RSA.
const RSA: &[u8] = include_bytes!("../../tests-data/throw-away-rsa.pk8");

/// What addresses publish, and which of them were asked for.
#[derive(Debug, Default)]
pub(crate) struct Published {
    files: BTreeMap<String, Arc<[u8]>>,
    asked: Mutex<Vec<String>>,
}

impl Published {
    pub(crate) fn of(url: &str, file: impl Into<Vec<u8>>) -> Self {
        let files = BTreeMap::from([(url.to_owned(), file.into().into())]);
        Self { files, asked: Mutex::default() }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl PublishedKeys for Published {
    fn get(&self, url: &str) -> Option<Arc<[u8]>> {
        self.asked.lock().unwrap().push(url.to_owned());
        self.files.get(url).cloned()
    }
}

pub(crate) fn post<'a>(
    headers: &'a HeaderMap,
    body: &'a [u8],
    now: u64,
    published: &'a Published,
) -> Request<'a> {
    let url = "https://receiver.example/in/hook";
    Request { method: "POST", url, headers, body, now, published, client: None }
}

pub(crate) fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::try_from(*value).unwrap())
    };
    pairs.iter().map(pair).collect()
}

pub(crate) fn secret(text: &str) -> Vec<NamedSecret> {
    vec![NamedSecret { id: "sec_1".to_owned(), secret: Secret::new(text) }]
}

fn rsa() -> rsa::KeyPair {
    rsa::KeyPair::from_pkcs8(RSA).unwrap()
}

/// A signature by RSA with SHA-256.
pub(crate) fn sign_rsa(content: &[u8]) -> Vec<u8> {
    let key = rsa();
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&signature::RSA_PKCS1_SHA256, &SystemRandom::new(), content, &mut signature).unwrap();
    signature
}

/// The same in base64.
pub(crate) fn sign_rsa_base64(content: &[u8]) -> String {
    BASE64.encode(sign_rsa(content))
}

/// A certificate of the RSA key for these names, valid between two times.
pub(crate) fn certificate(names: &[&str], from: u64, until: u64) -> String {
    certificate_of_hosts(&[], names, from..until)
}

/// The same, for hosts too.
pub(crate) fn certificate_of_hosts(hosts: &[&str], names: &[&str], valid: Range<u64>) -> String {
    let time = |seconds: u64| OffsetDateTime::from_unix_timestamp(seconds.try_into().unwrap()).unwrap();
    let key = rcgen::KeyPair::try_from(RSA).unwrap();
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut parameters = CertificateParams::new(hosts).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    for (number, name) in names.iter().enumerate() {
        // `rcgen` keeps one name of a type; by its identifier, this type is another.
        let kind = if number == 0 { DnType::CommonName } else { DnType::CustomDnType(vec![2, 5, 4, 3]) };
        parameters.distinguished_name.push(kind, *name);
    }
    (parameters.not_before, parameters.not_after) = (time(valid.start), time(valid.end));
    parameters.self_signed(&key).unwrap().pem()
}

/// A key that signs tokens.
pub(crate) enum Signer {
    Rsa,
    P256(Box<signature::EcdsaKeyPair>),
    Ed25519(Box<signature::Ed25519KeyPair>),
}

impl Signer {
    pub(crate) fn p256() -> Self {
        let (algorithm, random) = (&signature::ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let key = signature::EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self::P256(Box::new(signature::EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap()))
    }

    pub(crate) fn ed25519() -> Self {
        let key = signature::Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Ed25519(Box::new(signature::Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap()))
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa => "RS256",
            Self::P256(_) => "ES256",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    fn sign(&self, content: &[u8]) -> Vec<u8> {
        match self {
            Self::Rsa => sign_rsa(content),
            Self::P256(key) => key.sign(&SystemRandom::new(), content).unwrap().as_ref().to_vec(),
            Self::Ed25519(key) => key.sign(content).as_ref().to_vec(),
        }
    }

    /// The public part as a JSON Web Key.
    pub(crate) fn jwk(&self, id: &str) -> Value {
        let text = |bytes: &[u8]| BASE64URL.encode(bytes);
        match self {
            Self::Rsa => {
                let public = rsa::PublicKeyComponents::<Vec<u8>>::from(rsa().public());
                json!({"kty": "RSA", "kid": id, "n": text(&public.n), "e": text(&public.e)})
            }
            Self::P256(key) => {
                let point = key.public_key().as_ref();
                let (x, y) = (text(&point[1..33]), text(&point[33..]));
                json!({"kty": "EC", "crv": "P-256", "kid": id, "x": x, "y": y, "use": "sig", "alg": "ES256"})
            }
            Self::Ed25519(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": text(key.public_key().as_ref())})
            }
        }
    }

    /// A token with this header.
    pub(crate) fn token(&self, header: &Value, claims: &Value) -> String {
        let signed = [header, claims].map(|part| BASE64URL.encode(part.to_string())).join(".");
        format!("{signed}.{}", BASE64URL.encode(self.sign(signed.as_bytes())))
    }
}
