//! Plaid.

use floodgate_event::Secret;
use floodgate_event::scheme::Settings;
use floodgate_event::source::Locator;
use floodgate_schemes::{Failure, Fetch, InvalidSettings, Received, Scheme, Step};
use http::HeaderMap;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::support::{Published, Signer, headers, post, secret};

const PRODUCTION: &str = "https://production.plaid.com/webhook_verification_key/get";
const SANDBOX: &str = "https://sandbox.plaid.com/webhook_verification_key/get";
const ID: &str = "bfbd5111-8e33-4643-8ced-b2e642a72f3c";
const NOW: u64 = 1_700_000_000;
const BODY: &[u8] = b"{\n  \"item_id\": \"wz666MBjYWTp2PDzzggYhM6oWWmBb\"\n}";

fn claims() -> Value {
    json!({"iat": NOW, "request_body_sha256": hex::encode(digest(&SHA256, BODY))})
}

fn header(signer: &Signer) -> Value {
    json!({"alg": signer.algorithm(), "kid": ID, "typ": "JWT"})
}

fn with(mut value: Value, name: &str, new: impl Into<Value>) -> Value {
    value[name] = new.into();
    value
}

fn verification(token: &str) -> HeaderMap {
    headers(&[("plaid-verification", token)])
}

fn answer(key: Value) -> Published {
    Published::of(&format!("{PRODUCTION}#{ID}"), json!({"key": key, "request_id": "r"}).to_string())
}

fn fetching() -> Scheme {
    Scheme::new("plaid", &Settings::default(), secret("client:secret")).unwrap()
}

fn pinning(keys: &[Value]) -> Result<Scheme, InvalidSettings> {
    let public_keys = keys.iter().map(ToString::to_string).collect();
    Scheme::new("plaid", &Settings { public_keys, ..Settings::default() }, vec![])
}

fn receive(scheme: &Scheme, token: &str, published: &Published) -> Result<String, Failure> {
    receive_at(scheme, token, published, NOW)
}

fn receive_at(scheme: &Scheme, token: &str, published: &Published, now: u64) -> Result<String, Failure> {
    match scheme.receive(&post(&verification(token), BODY, now, published))? {
        Received::Event(key) => Ok(key.to_owned()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_published_key_verifies() {
    let signer = Signer::p256();
    let token = signer.token(&header(&signer), &claims());
    assert_eq!(receive(&fetching(), &token, &answer(signer.jwk(ID))), Ok("published".to_owned()));
    let unknown = receive(&fetching(), &token, &Published::default());
    assert_eq!(unknown, Err(Failure::UnknownKey(format!("{PRODUCTION}#{ID}"))));
    let other = Signer::p256();
    let forged = other.token(&header(&other), &claims());
    assert_eq!(receive(&fetching(), &forged, &answer(signer.jwk(ID))), Err(Failure::NoMatch { keys: 1 }));
}

#[test]
fn a_pinned_key_needs_nothing_published() {
    let (signer, other) = (Signer::p256(), Signer::p256());
    let token = signer.token(&header(&signer), &claims());
    let scheme = pinning(&[other.jwk("other"), signer.jwk(ID)]).unwrap();
    let key = receive(&scheme, &token, &Published::default()).unwrap();
    assert!(key.starts_with("key_"), "{key}");
    assert!(scheme.fetch(&format!("{PRODUCTION}#{ID}")).is_none(), "nothing is fetched without credentials");
    let unknown = signer.token(&with(header(&signer), "kid", "unknown"), &claims());
    let refused = receive(&scheme, &unknown, &Published::default());
    assert_eq!(refused, Err(Failure::UnknownKey(format!("{PRODUCTION}#unknown"))));
}

#[test]
fn an_expired_key_verifies_nothing() {
    let signer = Signer::p256();
    let token = signer.token(&header(&signer), &claims());
    let expired = with(signer.jwk(ID), "expired_at", NOW - 1);
    let unusable = |why| Err(Failure::UnusableKey { url: format!("{PRODUCTION}#{ID}"), why });
    let refused = receive(&fetching(), &token, &answer(expired.clone()));
    assert_eq!(refused, unusable("expired"));
    let pinned = pinning(&[signer.jwk(ID)]).unwrap();
    assert_eq!(receive(&pinned, &token, &answer(expired.clone())), unusable("expired"));
    let pinned = pinning(&[expired]).unwrap();
    assert_eq!(receive(&pinned, &token, &Published::default()), unusable("expired"));
    let current = with(signer.jwk(ID), "expired_at", Value::Null);
    assert!(receive(&fetching(), &token, &answer(current)).is_ok());
    for bad in
        [signer.jwk("another"), json!("x"), with(signer.jwk(ID), "use", "enc"), Signer::Rsa.jwk("another")]
    {
        assert_eq!(receive(&fetching(), &token, &answer(bad)), unusable("not an answer with this key"));
    }
    let long = with(signer.jwk(ID), "more", "x".repeat(16 * 1_024));
    assert_eq!(receive(&fetching(), &token, &answer(long)), unusable("not an answer with this key"));
}

/// The key decides, and the token does not: a key of RSA under a known id verifies nothing.
#[test]
fn only_es256_is_verified() {
    let signer = Signer::p256();
    for algorithm in ["none", "None", "HS256", "RS256", "EdDSA", "ES384", "es256", ""] {
        let token = signer.token(&with(header(&signer), "alg", algorithm), &claims());
        let empty = Published::default();
        let refused = receive(&fetching(), &token, &empty);
        assert_eq!(refused.unwrap_err().step(), Step::Form, "{algorithm}");
        assert_eq!(empty.asked(), Vec::<String>::new(), "{algorithm}");
    }
    for other in [Signer::Rsa, Signer::ed25519()] {
        let token = other.token(&with(header(&other), "alg", "ES256"), &claims());
        assert_eq!(receive(&fetching(), &token, &answer(other.jwk(ID))), Err(Failure::NoMatch { keys: 1 }));
    }
}

#[test]
fn a_token_is_for_one_body() {
    let signer = Signer::p256();
    let of = |claims: &Value| {
        receive(&fetching(), &signer.token(&header(&signer), claims), &answer(signer.jwk(ID)))
    };
    let other = hex::encode(digest(&SHA256, b"{}"));
    assert_eq!(of(&with(claims(), "request_body_sha256", other)), Err(Failure::OtherBody));
    assert_eq!(of(&with(claims(), "request_body_sha256", "")), Err(Failure::OtherBody));
    let upper = hex::encode_upper(digest(&SHA256, BODY));
    assert_eq!(of(&with(claims(), "request_body_sha256", upper)), Err(Failure::OtherBody));
    for bad in
        [json!({"iat": NOW}), json!({"request_body_sha256": ""}), json!([]), with(claims(), "iat", "1")]
    {
        assert_eq!(of(&bad).unwrap_err().step(), Step::Form, "{bad}");
    }
}

#[test]
fn a_token_is_fresh() {
    let signer = Signer::p256();
    let token = signer.token(&header(&signer), &claims());
    let at = |now| receive_at(&fetching(), &token, &answer(signer.jwk(ID)), now).map(drop);
    assert_eq!(at(NOW + 300), Ok(()));
    assert_eq!(at(NOW - 300), Ok(()));
    assert_eq!(at(NOW + 301), Err(Failure::Stale { seconds: -301, tolerance: 300 }));
    assert_eq!(at(NOW - 301), Err(Failure::Stale { seconds: 301, tolerance: 300 }));
    let issued = |iat: f64| {
        let token = signer.token(&header(&signer), &with(claims(), "iat", iat));
        receive(&fetching(), &token, &answer(signer.jwk(ID))).map(drop)
    };
    assert_eq!(issued(NOW as f64), Ok(()), "1700000000.0");
    assert_eq!(issued(NOW as f64 - 299.5), Ok(()));
    assert_eq!(issued(NOW as f64 - 300.5), Err(Failure::Stale { seconds: -301, tolerance: 300 }));
    assert_eq!(issued(-1.0).unwrap_err().step(), Step::Time);
}

#[test]
fn a_token_has_one_form() {
    let signer = Signer::p256();
    let (published, good) = (answer(signer.jwk(ID)), signer.token(&header(&signer), &claims()));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let long = signer.token(&header(&signer), &with(claims(), "x", "x".repeat(8 * 1_024)));
    let critical = signer.token(&with(header(&signer), "crit", json!(["exp"])), &claims());
    let bad = [
        String::new(),
        "abc".to_owned(),
        "..".to_owned(),
        signed.to_owned(),
        format!("{signed}."),
        format!("{good}."),
        format!("{good}="),
        format!(".{good}"),
        format!("{signed}..{signature}"),
        format!("{signed}.x.{signature}"),
        good.replace(['-', '_'], "+"),
        long,
        critical,
    ];
    for bad in bad.iter().filter(|bad| **bad != good) {
        assert!(receive(&fetching(), bad, &published).is_err(), "{bad}");
    }
    for id in ["", "../get", "a#b", "a b", "\u{e9}", &"a".repeat(65)] {
        let bad = signer.token(&with(header(&signer), "kid", id), &claims());
        let empty = Published::default();
        assert_eq!(receive(&fetching(), &bad, &empty).unwrap_err().step(), Step::Form, "{id}");
        assert_eq!(empty.asked(), Vec::<String>::new(), "{id}");
    }
    assert_eq!(fetching().require("POST", &HeaderMap::new()).unwrap_err().step(), Step::Form);
}

#[test]
fn keys_are_fetched_with_the_credentials_of_the_source() {
    let fetch = fetching().fetch(&format!("{PRODUCTION}#{ID}"));
    let post = json!({"client_id": "client", "secret": "secret", "key_id": ID}).to_string();
    assert_eq!(fetch, Some(Fetch { url: PRODUCTION.to_owned(), post: Some(Secret::new(post)) }));
    assert!(!format!("{fetch:?}").contains("\"secret\""), "{fetch:?}");
    for bad in [
        PRODUCTION.to_owned(),
        format!("{PRODUCTION}#"),
        format!("{PRODUCTION}#a#b"),
        format!("{PRODUCTION}#a/b"),
        format!("{PRODUCTION}?x#{ID}"),
        format!("{SANDBOX}#{ID}"),
        format!("https://production.plaid.com@evil.example/webhook_verification_key/get#{ID}"),
    ] {
        assert!(fetching().fetch(&bad).is_none(), "{bad}");
    }
    let settings = Settings { jwks_url: Some(SANDBOX.to_owned()), ..Settings::default() };
    let sandbox = Scheme::new("plaid", &settings, secret("client:secret")).unwrap();
    assert!(sandbox.fetch(&format!("{SANDBOX}#{ID}")).is_some());
    assert!(sandbox.fetch(&format!("{PRODUCTION}#{ID}")).is_none());
    assert_eq!(sandbox.publishers(), Vec::<&str>::new());
}

#[test]
fn what_could_verify_nothing_is_refused() {
    let new = |settings: &Settings, text: Option<&str>| {
        Scheme::new("plaid", settings, text.map(secret).unwrap_or_default()).map(drop)
    };
    assert_eq!(new(&Settings::default(), None), Err(InvalidSettings::NoKey));
    for text in ["", "secret", ":secret", "client:"] {
        assert!(matches!(new(&Settings::default(), Some(text)), Err(InvalidSettings::Key(_))), "{text}");
    }
    let elsewhere = Settings { jwks_url: Some("https://evil.example/".to_owned()), ..Settings::default() };
    let refused = new(&elsewhere, Some("client:secret"));
    assert!(matches!(refused, Err(InvalidSettings::Setting { setting: "jwks_url", .. })));
    let signer = Signer::p256();
    let mut unnamed = signer.jwk(ID);
    unnamed.as_object_mut().unwrap().remove("kid");
    let private = with(signer.jwk(ID), "d", "AAAA");
    for bad in
        [unnamed, private, Signer::Rsa.jwk(ID), with(signer.jwk(ID), "x", "AAAA"), json!({}), json!("x")]
    {
        assert!(matches!(pinning(&[bad]).map(drop), Err(InvalidSettings::Key(_))));
    }
}

#[test]
fn the_body_is_covered() {
    assert!(fetching().covers(&Locator::Json("/item_id".to_owned())));
    assert!(!fetching().covers(&Locator::Header("plaid-verification".to_owned())));
}
