//! Bearer tokens.

use floodgate_event::scheme::Settings;
use floodgate_event::source::Locator;
use floodgate_schemes::{Failure, Fetch, InvalidSettings, Received, Scheme, Step, presets};
use http::HeaderMap;
use serde_json::{Value, json};

use crate::support::{Published, Signer, headers, post};

const JWKS: &str = "https://issuer.example/keys";
const NOW: u64 = 1_700_000_000;

fn settings() -> Settings {
    Settings {
        jwks_url: Some(JWKS.to_owned()),
        issuer: Some("https://issuer.example".to_owned()),
        audience: Some("floodgate".to_owned()),
        ..Settings::default()
    }
}

fn scheme() -> Scheme {
    Scheme::new("jwt", &settings(), vec![]).unwrap()
}

fn claims() -> Value {
    json!({
        "iss": "https://issuer.example", "aud": "floodgate", "sub": "sender",
        "iat": NOW, "nbf": NOW, "exp": NOW + 3_600,
    })
}

fn with(mut value: Value, name: &str, new: impl Into<Value>) -> Value {
    value[name] = new.into();
    value
}

fn without(mut value: Value, name: &str) -> Value {
    value.as_object_mut().unwrap().remove(name);
    value
}

fn keys(keys: &[Value]) -> Published {
    Published::of(JWKS, json!({"keys": keys}).to_string())
}

fn authorization(value: &str) -> HeaderMap {
    headers(&[("authorization", value)])
}

fn receive(token: &str, published: &Published) -> Result<(), Failure> {
    receive_at(&scheme(), token, published, NOW)
}

fn receive_at(scheme: &Scheme, token: &str, published: &Published, now: u64) -> Result<(), Failure> {
    let headers = authorization(&format!("Bearer {token}"));
    match scheme.receive(&post(&headers, b"{}", now, published))? {
        Received::Event("published") => Ok(()),
        other => panic!("{other:?}"),
    }
}

fn token(signer: &Signer, claims: &Value) -> String {
    signer.token(&json!({"alg": signer.algorithm(), "kid": "k"}), claims)
}

#[test]
fn a_token_of_each_algorithm_is_verified() {
    for signer in [Signer::Rsa, Signer::p256(), Signer::ed25519()] {
        let (set, good) = (keys(&[signer.jwk("k")]), token(&signer, &claims()));
        assert_eq!(receive(&good, &set), Ok(()), "{}", signer.algorithm());
        let changed = token(&signer, &with(claims(), "sub", "other"));
        let (_, signature) = good.rsplit_once('.').unwrap();
        let (content, _) = changed.rsplit_once('.').unwrap();
        let forged = receive(&format!("{content}.{signature}"), &set);
        assert_eq!(forged, Err(Failure::NoMatch { keys: 1 }), "{}", signer.algorithm());
    }
}

/// As a signed number would be written.
#[test]
fn a_number_may_begin_with_a_zero() {
    let key = Signer::Rsa.jwk("k");
    let padded = format!("AAAA{}", key["n"].as_str().unwrap());
    let token = token(&Signer::Rsa, &claims());
    assert_eq!(receive(&token, &keys(&[with(key, "n", padded)])), Ok(()));
}

#[test]
fn a_token_does_not_choose_what_is_no_signature() {
    let signer = Signer::p256();
    for algorithm in ["none", "NONE", "HS256", "HS512", "ES384", "PS256", "RS512", "rs256", ""] {
        let empty = Published::default();
        let token = signer.token(&json!({"alg": algorithm, "kid": "k"}), &claims());
        assert_eq!(receive(&token, &empty).unwrap_err().step(), Step::Form, "{algorithm}");
        assert_eq!(empty.asked(), Vec::<String>::new(), "{algorithm}");
    }
    // A key of one algorithm is none of another, even under the id that the token names.
    let token = signer.token(&json!({"alg": "RS256", "kid": "k"}), &claims());
    assert_eq!(receive(&token, &keys(&[signer.jwk("k")])), Err(Failure::UnknownKey(JWKS.to_owned())));
}

#[test]
fn a_key_is_found_by_its_name() {
    let (signer, other) = (Signer::p256(), Signer::p256());
    let set = keys(&[other.jwk("other"), signer.jwk("k")]);
    assert_eq!(receive(&token(&signer, &claims()), &set), Ok(()));
    assert_eq!(receive(&token(&other, &claims()), &set), Err(Failure::NoMatch { keys: 1 }));
    let unnamed = signer.token(&json!({"alg": "ES256"}), &claims());
    assert_eq!(receive(&unnamed, &set).unwrap_err().step(), Step::Form);
    assert_eq!(receive(&unnamed, &keys(&[signer.jwk("k")])), Ok(()));
    // What is for something else is no choice.
    let encrypts = with(other.jwk("other"), "use", "enc");
    assert_eq!(receive(&unnamed, &keys(&[encrypts, signer.jwk("k")])), Ok(()));
    // After the issuer has changed its keys, the set is to be fetched again.
    let unknown = Err(Failure::UnknownKey(JWKS.to_owned()));
    assert_eq!(receive(&token(&signer, &claims()), &keys(&[other.jwk("other")])), unknown);
    assert_eq!(receive(&token(&signer, &claims()), &Published::default()), unknown);
    assert_eq!(receive(&token(&signer, &claims()), &keys(&[])), unknown);
}

/// A set may have an old and a new key of one name.
#[test]
fn each_key_of_the_name_is_tried() {
    let (signer, other) = (Signer::p256(), Signer::p256());
    let token = token(&signer, &claims());
    let after = |count| {
        let others = vec![other.jwk("k"); count];
        receive(&token, &keys(&[others, vec![signer.jwk("k")]].concat()))
    };
    assert_eq!(after(1), Ok(()));
    assert_eq!(after(7), Ok(()));
    assert_eq!(after(8), Err(Failure::NoMatch { keys: 8 }), "and no more than 8");
    let mixed = keys(&[Signer::Rsa.jwk("k"), other.jwk("other"), other.jwk("k")]);
    assert_eq!(receive(&token, &mixed), Err(Failure::NoMatch { keys: 1 }));
}

#[test]
fn a_key_that_is_for_something_else_verifies_nothing() {
    let signer = Signer::p256();
    let key = signer.jwk("k");
    for odd in [
        with(key.clone(), "use", "enc"),
        with(key.clone(), "alg", "ES384"),
        with(key.clone(), "key_ops", json!(["encrypt"])),
        with(key.clone(), "crv", "P-384"),
        with(key.clone(), "kty", "oct"),
        with(key.clone(), "x", "AAAA"),
        with(key.clone(), "d", "AAAA"),
        json!({"kty": "oct", "kid": "k", "k": "AAAA"}),
        json!("x"),
    ] {
        let refused = receive(&token(&signer, &claims()), &keys(std::slice::from_ref(&odd)));
        assert_eq!(refused, Err(Failure::UnknownKey(JWKS.to_owned())), "{odd}");
    }
    let allowed = with(key, "key_ops", json!(["verify"]));
    assert_eq!(receive(&token(&signer, &claims()), &keys(&[allowed])), Ok(()));
}

#[test]
fn a_set_of_keys_is_bounded() {
    let signer = Signer::p256();
    let receive = |set: &Published| receive(&token(&signer, &claims()), set);
    let many = |count| keys(&vec![signer.jwk("k"); count]);
    assert_eq!(receive(&many(100)), Ok(()));
    let unusable = |refused| matches!(refused, Err(Failure::UnusableKey { url, .. }) if url == JWKS);
    assert!(unusable(receive(&many(101))));
    assert!(unusable(receive(&keys(&[with(signer.jwk("k"), "x5c", "x".repeat(256 * 1_024))]))));
    for bad in ["", "[]", "{}", "<html>", "{\"keys\":{}}"] {
        assert!(unusable(receive(&Published::of(JWKS, bad))), "{bad}");
    }
}

#[test]
fn a_token_is_of_its_time() {
    let signer = Signer::p256();
    let set = keys(&[signer.jwk("k")]);
    let at = |claims: &Value, now| receive_at(&scheme(), &token(&signer, claims), &set, now);
    let stale = |seconds| Err(Failure::Stale { seconds, tolerance: 60 });
    let end = NOW + 3_600;
    assert_eq!(at(&claims(), end + 59), Ok(()));
    assert_eq!(at(&claims(), end + 60), stale(-60));
    assert_eq!(at(&claims(), NOW - 60), Ok(()));
    assert_eq!(at(&claims(), NOW - 61), stale(61));
    assert_eq!(at(&with(claims(), "nbf", NOW + 61), NOW), stale(61));
    assert_eq!(at(&with(claims(), "iat", NOW + 61), NOW), stale(61));
    assert_eq!(at(&without(without(claims(), "iat"), "nbf"), 0), Ok(()));
    assert_eq!(at(&with(claims(), "exp", NOW as f64 + 0.5), NOW), Ok(()));
    assert_eq!(at(&with(claims(), "exp", -1), NOW).unwrap_err().step(), Step::Time);
    for bad in
        [without(claims(), "exp"), with(claims(), "exp", "1"), with(claims(), "nbf", json!([])), json!([])]
    {
        assert_eq!(at(&bad, NOW).unwrap_err().step(), Step::Form, "{bad}");
    }
}

#[test]
fn a_token_is_for_this_source() {
    let signer = Signer::p256();
    let set = keys(&[signer.jwk("k")]);
    let of = |claims: &Value| receive(&token(&signer, claims), &set);
    assert_eq!(of(&with(claims(), "aud", json!(["other", "floodgate"]))), Ok(()));
    for (name, values) in [
        ("iss", [json!("https://issuer.example/"), json!(""), json!(null)]),
        ("aud", [json!("other"), json!(["other"]), json!(null)]),
    ] {
        let refused = Err(Failure::NotAllowed { what: format!("the `{name}` of the token") });
        assert_eq!(of(&without(claims(), name)), refused);
        for value in values {
            assert_eq!(of(&with(claims(), name, value.clone())), refused, "{value}");
        }
    }
    let named =
        Scheme::new("jwt", &Settings { subject: Some("sender".to_owned()), ..settings() }, vec![]).unwrap();
    let of = |claims: &Value| receive_at(&named, &token(&signer, claims), &set, NOW);
    assert_eq!(of(&claims()), Ok(()));
    assert_eq!(of(&with(claims(), "sub", "other")).unwrap_err().step(), Step::Audience);
    assert_eq!(of(&without(claims(), "sub")).unwrap_err().step(), Step::Audience);
}

#[test]
fn the_header_has_one_form() {
    let signer = Signer::p256();
    let (set, good) = (keys(&[signer.jwk("k")]), token(&signer, &claims()));
    let of = |headers: &HeaderMap| scheme().receive(&post(headers, b"{}", NOW, &set)).map(drop);
    assert_eq!(of(&authorization(&format!("bearer  {good}"))), Ok(()));
    for bad in
        [good.clone(), format!("Basic {good}"), format!("Bearer{good}"), format!("Bearer {good},{good}")]
    {
        assert_eq!(of(&authorization(&bad)).unwrap_err().step(), Step::Form);
    }
    let mut twice = authorization(&format!("Bearer {good}"));
    twice.append("authorization", "Bearer x".parse().unwrap());
    assert_eq!(of(&twice).unwrap_err().step(), Step::Form);
    assert_eq!(scheme().require("POST", &HeaderMap::new()).unwrap_err().step(), Step::Form);
    let long = token(&signer, &with(claims(), "x", "x".repeat(8 * 1_024)));
    assert_eq!(receive(&long, &set).unwrap_err().step(), Step::Form);
    let critical =
        signer.token(&json!({"alg": "ES256", "kid": "k", "crit": ["b64"], "b64": false}), &claims());
    assert_eq!(receive(&critical, &set).unwrap_err().step(), Step::Form);
}

#[test]
fn the_keys_can_be_fetched_ahead() {
    assert_eq!(scheme().publishers(), [JWKS]);
    assert_eq!(scheme().fetch(JWKS), Some(Fetch { url: JWKS.to_owned(), post: None }));
    for other in ["https://issuer.example/", "https://issuer.example/keys/", "https://evil.example/keys", ""]
    {
        assert!(scheme().fetch(other).is_none(), "{other}");
    }
}

#[test]
fn a_source_says_whose_tokens_it_takes() {
    for (setting, incomplete) in [
        ("jwks_url", Settings { jwks_url: None, ..settings() }),
        ("issuer", Settings { issuer: None, ..settings() }),
        ("issuer", Settings { issuer: Some(String::new()), ..settings() }),
        ("audience", Settings { audience: None, ..settings() }),
        ("audience", Settings { audience: Some(String::new()), ..settings() }),
    ] {
        let refused = Scheme::new("jwt", &incomplete, vec![]).map(drop);
        assert!(
            matches!(refused, Err(InvalidSettings::Needs { setting: it, .. }) if it == setting),
            "{refused:?}"
        );
    }
    let plain = Settings { jwks_url: Some("http://issuer.example/keys".to_owned()), ..settings() };
    let refused = Scheme::new("jwt", &plain, vec![]).map(drop);
    assert!(matches!(refused, Err(InvalidSettings::Setting { setting: "jwks_url", .. })));
}

#[test]
fn a_token_is_a_secret_that_says_nothing_of_the_body() {
    assert!(scheme().covers(&Locator::Json("/id".to_owned())));
    assert_eq!(presets::find("jwt").unwrap().secret_headers, ["authorization"]);
}
