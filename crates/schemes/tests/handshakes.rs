//! Every handshake of `tests-data/handshakes.json` is answered as it says.

// Clippy allows `unwrap` inside `#[test]` functions, but not in the functions that they call.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use floodgate_event::Secret;
use floodgate_event::scheme::Settings;
use floodgate_schemes::vectors::Vector;
use floodgate_schemes::{Answer, NamedSecret, NoPublishedKeys, Note, Received, Request, Scheme, presets};
use http::{HeaderMap, HeaderName};
use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde::Deserialize;
use serde_json::Value;

/// The time where a case has none.
const NOW: u64 = 1_800_000_000;

#[derive(Deserialize)]
struct Case {
    provider: String,
    name: String,
    secret: Option<String>,
    now: Option<u64>,
    request: Sent,
    response: Value,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Sent {
    Request {
        method: String,
        url: String,
        headers: BTreeMap<String, String>,
        body: String,
    },
    /// Which requests, in words.
    Words(serde::de::IgnoredAny),
}

/// What a provider's request needs that the file leaves open.
struct Setup {
    preset: &'static str,
    secret: Option<String>,
    settings: Settings,
    /// For `<valid>` in a header.
    signature: String,
    /// Added to the URL.
    query: &'static str,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../tests-data/handshakes.json")).unwrap()
}

fn vectors(scheme: &str) -> Vec<Vector> {
    let all: Vec<Vector> = serde_json::from_str(include_str!("../tests-data/signatures.json")).unwrap();
    all.into_iter().filter(|vector| vector.scheme == scheme).collect()
}

fn setup(case: &Case, body: &str) -> Setup {
    let preset = presets::find(if case.provider == "twitter" { "x" } else { &case.provider });
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let secret = || Some(case.secret.clone().unwrap_or_else(|| "Okta-Secret-1".to_owned()));
    let setup = Setup {
        preset: preset.unwrap_or_else(|| panic!("{}", case.provider)).name,
        secret: secret(),
        settings: Settings::default(),
        signature: hex::encode(pair.sign(format!("{NOW}{body}").as_bytes())),
        query: "",
    };
    match &*case.provider {
        "notion" => Setup { secret: None, ..setup },
        "discord" => {
            let public_keys = vec![hex::encode(pair.public_key())];
            Setup { secret: None, settings: Settings { public_keys, ..Settings::default() }, ..setup }
        }
        // Event Grid sends what its webhook's URL has, and the source needs it to.
        "azure-event-grid" => Setup { query: "?secret=Okta-Secret-1", ..setup },
        _ => setup,
    }
}

/// The answer to the request of a case; none if that is in words.
fn answer(case: &Case) -> Option<Answer> {
    let Sent::Request { method, url, headers: listed, body } = &case.request else { return None };
    let setup = setup(case, body);
    let secret = setup.secret.map(|text| NamedSecret { id: "key".to_owned(), secret: Secret::new(text) });
    let scheme = Scheme::new(setup.preset, &setup.settings, secret.into_iter().collect()).unwrap();
    let mut headers = HeaderMap::new();
    for (name, value) in listed {
        let value = value.replace("<valid>", &setup.signature).replace("<ts>", &NOW.to_string());
        headers.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    let url = format!("{url}{}", setup.query);
    let (now, body) = (case.now.unwrap_or(NOW), body.as_bytes());
    let (headers, published) = (&headers, &NoPublishedKeys);
    let request = Request { method, url: &url, headers, body, now, published, client: None };
    scheme.require(method, headers).unwrap();
    match scheme.receive(&request) {
        Ok(Received::Handshake(answer)) => Some(answer),
        other => panic!("{} {}: {other:?}", case.provider, case.name),
    }
}

/// What differs from the file. A rate may be the one that the sender asked for.
fn differences(case: &Case, answer: &Answer) -> Vec<String> {
    let header = |name: &str| answer.headers.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
    let header = |name: &str| header(name).map(|(_, value)| Value::from(value.as_str()));
    let mut differences = vec![];
    for (field, expected) in case.response.as_object().unwrap() {
        let found = match &**field {
            "status" => Some(answer.status.into()),
            "content_type" => header("content-type"),
            "body" => String::from_utf8(answer.body.clone()).ok().map(Value::from),
            "json" => serde_json::from_slice(&answer.body).ok(),
            "headers" => {
                let expected = expected.as_object().unwrap();
                let fixed = expected.iter().filter(|(name, _)| *name != "WebHook-Allowed-Rate");
                let wrong = fixed.filter(|(name, value)| header(name).as_ref() != Some(*value));
                differences.extend(wrong.map(|(name, value)| format!("{name}: {value}")));
                continue;
            }
            other => panic!("{other}"),
        };
        if found.as_ref() != Some(expected) {
            differences.push(format!("{field}: expected {expected}, found {found:?}"));
        }
    }
    differences
}

#[test]
fn every_question_has_its_answer() {
    let (mut asked, mut in_words) = (vec![], vec![]);
    for case in cases() {
        let Some(answer) = answer(&case) else {
            in_words.push(case.provider);
            continue;
        };
        assert_eq!(differences(&case, &answer), [""; 0], "{} {}", case.provider, case.name);
        asked.push(case.provider);
    }
    assert_eq!(asked.len(), 12, "{asked:?}");
    // These have a test of their own below.
    assert_eq!(in_words, ["aws-sns", "xero", "adyen"]);
}

/// During a rotation Zoom may know only the new secret, which need not be the first.
#[test]
fn zoom_is_answered_by_the_secret_that_signed() {
    let secrets = ["old", "new"].map(|id| NamedSecret { id: id.to_owned(), secret: Secret::new(id) });
    let scheme = Scheme::new("zoom", &Settings::default(), secrets.to_vec()).unwrap();
    let body = br#"{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"}}"#;
    for secret in ["old", "new"] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let sign = |text: &[u8]| hex::encode(hmac::sign(&key, text));
        let signature = format!("v0={}", sign(&[format!("v0:{NOW}:").as_bytes(), body].concat()));
        let mut headers = HeaderMap::new();
        headers.insert("x-zm-request-timestamp", NOW.into());
        headers.insert("x-zm-signature", signature.parse().unwrap());
        let (headers, published, url) = (&headers, &NoPublishedKeys, "https://hooks.example/in/zoom");
        let request = Request { method: "POST", url, headers, body, now: NOW, published, client: None };
        let Ok(Received::Handshake(answer)) = scheme.receive(&request) else { panic!("{secret}") };
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(answer["encryptedToken"], sign(b"qgg8vlvZRS6UYooatFL8Aw"), "{secret}");
    }
}

#[test]
fn a_sender_of_cloud_events_gets_the_rate_it_asks_for() {
    let case = cases().into_iter().find(|case| case.provider == "cloudevents").unwrap();
    let headers = answer(&case).unwrap().headers;
    let rate = headers.into_iter().find(|(name, _)| *name == "webhook-allowed-rate");
    assert_eq!(rate.map(|(_, value)| value).as_deref(), Some("120"));
}

#[test]
fn notion_chooses_a_secret_once() {
    let case = cases().into_iter().find(|case| case.provider == "notion").unwrap();
    let Some(Note::Secret(secret)) = answer(&case).unwrap().note else { panic!() };
    let Sent::Request { method, url, body, .. } = &case.request else { panic!() };
    assert!(body.contains(secret.expose()));
    let known = vec![NamedSecret { id: "key".to_owned(), secret }];
    let scheme = Scheme::new("notion", &Settings::default(), known).unwrap();
    let request = Request {
        method,
        url,
        headers: &HeaderMap::new(),
        body: body.as_bytes(),
        now: NOW,
        published: &NoPublishedKeys,
        client: None,
    };
    assert!(scheme.receive(&request).is_err());
}

/// A signed `SubscriptionConfirmation` is answered with 200, and names an address of Amazon to fetch.
#[test]
fn a_subscription_of_sns_is_to_be_confirmed() {
    let vectors = vectors("aws-sns");
    let vector = vectors.iter().find(|vector| vector.name == "real SubscriptionConfirmation").unwrap();
    let answer = vector.answer().unwrap().unwrap();
    assert_eq!(answer.status, 200);
    let Some(Note::Confirm(url)) = answer.note else { panic!("{:?}", answer.note) };
    let host = url::Url::parse(&url).unwrap().host_str().unwrap().to_owned();
    assert!(
        url.starts_with("https://") && host.starts_with("sns.") && host.ends_with(".amazonaws.com"),
        "{url}"
    );
}

/// Its intents to receive, of which those with a wrong signature are refused, want an answer without a body.
#[test]
fn xero_is_told_which_signatures_are_wrong() {
    let verified: Vec<bool> = vectors("xero-hmac").iter().map(|vector| vector.verify().is_ok()).collect();
    assert!(verified.contains(&true) && verified.contains(&false), "{verified:?}");
    for vector in vectors("xero-hmac") {
        let answer = vector.answer().ok();
        assert_eq!(answer.is_some(), vector.expect.as_deref() == Some("valid"));
        assert!(answer.is_none_or(|answer| answer.is_some_and(|answer| answer.body.is_empty())));
    }
}

#[test]
fn adyen_is_told_that_its_notification_is_accepted() {
    let case = cases().into_iter().find(|case| case.provider == "adyen").unwrap();
    let accepted = presets::find("adyen").unwrap().accepted_body.map(Value::from);
    assert_eq!(accepted.as_ref(), case.response.get("body"));
}
