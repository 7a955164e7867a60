//! The right preset is among the guesses for every valid vector, and first if the provider has a header of
//! its own.

use std::collections::{BTreeMap, BTreeSet};

use floodgate_event::Secret;
use floodgate_event::scheme::Settings;
use floodgate_schemes::guess::{Guess, Outcome, guess};
use floodgate_schemes::vectors::{Kept, Vector};
use floodgate_schemes::{NamedSecret, NoPublishedKeys, Request, presets};
use http::{HeaderMap, HeaderValue};

struct Case {
    vector: Vector,
    kept: Kept,
}

impl Case {
    fn request(&self) -> Request<'_> {
        self.kept.request(&self.vector)
    }

    fn guesses(&self) -> Vec<Guess> {
        guess(
            &self.request(),
            &Settings { header: self.vector.settings().header, ..Settings::default() },
            &vec![],
        )
    }

    fn place(&self, guesses: &[Guess]) -> Option<usize> {
        guesses.iter().position(|guess| guess.preset.name == self.vector.preset())
    }

    fn told(&self, guesses: &[Guess]) -> String {
        let found: Vec<_> = guesses.iter().map(|guess| (guess.preset.name, &guess.outcome)).collect();
        format!("{} {}: {found:?}", self.vector.scheme, self.vector.name)
    }
}

#[allow(clippy::unwrap_used)] // A test without its vectors has failed.
fn valid() -> Vec<Case> {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("../tests-data/signatures.json")).unwrap();
    let valid = vectors.into_iter().filter(|vector| vector.expect.as_deref() == Some("valid"));
    let known = valid.filter(|vector| presets::find(vector.preset()).is_some());
    known.map(|vector| Case { kept: vector.kept().unwrap(), vector }).collect()
}

#[test]
fn the_right_preset_is_among_the_guesses() {
    let cases = valid();
    assert!(cases.len() >= 35, "{}", cases.len());
    for case in cases {
        let guesses = case.guesses();
        assert!(case.place(&guesses).is_some(), "{}", case.told(&guesses));
    }
}

/// A header is a provider's own if no valid vector of another one has it.
#[test]
fn a_provider_with_a_header_of_its_own_is_the_first_guess() {
    let cases = valid();
    let mut senders: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for case in &cases {
        for name in case.request().headers.keys() {
            senders.entry(name.to_string()).or_default().insert(case.vector.preset());
        }
    }
    let mut looked_at = 0;
    for case in &cases {
        if case.request().headers.keys().any(|name| senders[name.as_str()].len() == 1) {
            let guesses = case.guesses();
            assert_eq!(case.place(&guesses), Some(0), "{}", case.told(&guesses));
            looked_at += 1;
        }
    }
    assert!(looked_at >= 25, "{looked_at}");
}

/// With its keys and settings, the request verifies as the right preset, and that is the first guess.
#[test]
fn with_its_keys_the_right_preset_verifies() {
    for case in valid() {
        let settings = case.vector.settings();
        let keys = settings
            .public_keys
            .iter()
            .map(|key| NamedSecret { id: String::new(), secret: Secret::new(key) });
        let secrets = case.vector.secrets().into_iter().chain(keys).collect();
        let others = Settings { public_keys: vec![], ..settings };
        let guesses = guess(&case.request(), &others, &secrets);
        let right = guesses.iter().find(|guess| guess.preset.name == case.vector.preset());
        let verifies =
            matches!(right.map(|guess| &guess.outcome), Some(Outcome::Verified(_) | Outcome::Handshake));
        assert!(verifies, "{}", case.told(&guesses));
        assert!(
            matches!(guesses[0].outcome, Outcome::Verified(_) | Outcome::Handshake),
            "{}",
            case.told(&guesses)
        );
    }
}

#[test]
fn a_request_of_nobody_has_no_guesses() {
    let mut headers = HeaderMap::new();
    for name in ["content-type", "host", "user-agent", "x-signature"] {
        headers.insert(name, HeaderValue::from_static("application/json"));
    }
    let request = Request {
        method: "POST",
        url: "https://receiver.example/in/hook",
        headers: &headers,
        body: b"{}",
        now: 0,
        published: &NoPublishedKeys,
        client: None,
    };
    let guesses = guess(&request, &Settings::default(), &vec![]);
    assert!(guesses.is_empty(), "{:?}", guesses.iter().map(|guess| guess.preset.name).collect::<Vec<_>>());
}

#[test]
fn a_handshake_is_known_before_there_is_a_key() {
    let empty = HeaderMap::new();
    for (method, url, body, name) in [
        ("GET", "https://r.example/?hub.challenge=1&hub.mode=subscribe&hub.verify_token=x", "", "meta"),
        ("GET", "https://r.example/?crc_token=1", "", "x"),
        ("GET", "https://r.example/?challenge=1", "", "dropbox"),
        ("POST", "https://r.example/", "{\"verification_token\":\"t\"}", "notion"),
        ("POST", "https://r.example/", "webhook_id=7", "woocommerce"),
    ] {
        let request = Request {
            method,
            url,
            headers: &empty,
            body: body.as_bytes(),
            now: 0,
            published: &NoPublishedKeys,
            client: None,
        };
        let guesses = guess(&request, &Settings::default(), &vec![]);
        assert_eq!((guesses[0].preset.name, &guesses[0].outcome), (name, &Outcome::Handshake));
    }
}

/// Any sender may have `Authorization`, and many bodies an id and a type where some provider has its own.
#[test]
fn a_header_of_a_provider_says_more_than_what_any_sender_may_have() {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_static("Bearer token"));
    headers.insert("x-dropbox-signature", HeaderValue::from_static("00"));
    let request = Request {
        method: "POST",
        url: "https://r.example/",
        headers: &headers,
        body: br#"{"eventId": "1", "data": {"events": [{"eventType": "a"}]}}"#,
        now: 0,
        published: &NoPublishedKeys,
        client: None,
    };
    let guesses = guess(&request, &Settings::default(), &vec![]);
    let names: Vec<&str> = guesses.iter().map(|guess| guess.preset.name).collect();
    assert!(names[0] == "dropbox" && names.contains(&"okta"), "{names:?}");
}

/// Several providers sign in one header. What else they send tells them apart.
#[test]
fn ids_and_types_tell_providers_apart_that_sign_alike() {
    for (name, body, first) in [
        ("x-event-key", "{}", "bitbucket"),
        ("x-atlassian-webhook-identifier", "{}", "jira"),
        ("x-other", r#"{"webhookEvent": "a"}"#, "jira"),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("x-hub-signature", HeaderValue::from_static("sha256=00"));
        headers.insert(name, HeaderValue::from_static("1"));
        let request = Request {
            method: "POST",
            url: "https://r.example/",
            headers: &headers,
            body: body.as_bytes(),
            now: 0,
            published: &NoPublishedKeys,
            client: None,
        };
        let guesses = guess(&request, &Settings::default(), &vec![]);
        let names: Vec<&str> = guesses.iter().map(|guess| guess.preset.name).collect();
        assert!(names[0] == first && names.len() >= 2, "{name}: {names:?}");
    }
}
