//! Requests of people who have no key.

use std::sync::LazyLock;

use floodgate_event::Secret;
use floodgate_event::scheme::{Form, Settings, Template, Timestamp, TimestampAt, Unit};
use floodgate_schemes::{
    At, NamedSecret, NoPublishedKeys, Preset, Received, Request, Scheme, Unsigned, presets,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::{cases, seeds};

const NOW: u64 = 1_800_000_000;
const URL: &str = "https://hooks.example/in/source";
/// No stranger guesses these.
const SECRETS: [&str; 4] = [
    "f3b1c94e-not-guessed-2f6d",
    "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    "5E1F0C6B9D2A4837C0B1E2F3A4958677D8C9BAABBCCDDEEF0011223344556677",
    "someone:f3b1c94e-not-guessed-2f6d",
];
/// Keys of RFC 8032 section 7.1, and two whose private halves nobody has.
const PUBLIC_KEYS: [&str; 2] = [
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEWRZc9CSTpBp48ZGThhraA7LK31B8HOxM5L4bScsIBuNDQTL6TO5QdnraA8XLNLfWfZPuazm4\
     dUGHJi/6IEOKKQ==",
];
/// Whose settings or keys the other tests have: files of the vectors, a template, a certificate.
const ELSEWHERE: [&str; 3] = ["mtls", "none", "wise"];

fn settings(preset: &Preset, public_key: Option<&str>) -> Settings {
    let uses = |name: &str| preset.uses.contains(&name);
    let text = |name: &str, value: &str| uses(name).then(|| value.to_owned());
    let template = Template {
        form: Form::Pairs { separator: ',', name: "sig".to_owned() },
        content: "{id}:{timestamp}:{method}:{url}:{body}".to_owned(),
        timestamp: Some(Timestamp { at: TimestampAt::Pair("t".to_owned()), unit: Unit::Seconds }),
        id_header: Some("x-id".to_owned()),
        ..Template::hmac_sha256("x-signature")
    };
    Settings {
        public_keys: public_key.map(str::to_owned).into_iter().collect(),
        url: text("url", URL),
        webhook_id: text("webhook_id", "8PT597110X687430LKGECATA"),
        topic_arns: text("topic_arns", "arn:aws:sns:eu-west-1:1:orders").into_iter().collect(),
        confirm_subscriptions: uses("confirm_subscriptions"),
        jwks_url: text("jwks_url", "https://keys.example/jwks.json").filter(|_| preset.name == "jwt"),
        issuer: text("issuer", "https://issuer.example"),
        audience: text("audience", "https://hooks.example"),
        verify_token: text("verify_token", SECRETS[0]),
        signature: (preset.name == "signed").then_some(template),
        ..Settings::default()
    }
}

/// The preset with the first of the keys above that fit it.
fn scheme(preset: &'static Preset) -> Option<Scheme> {
    let named =
        |text: &&str| vec![NamedSecret { id: "sec_1".to_owned(), secret: Secret::new((*text).to_owned()) }];
    let secrets = SECRETS.iter().map(named).chain([vec![]]);
    let mut all = secrets.flat_map(|secrets| {
        let public = PUBLIC_KEYS.iter().map(|key| Some(*key)).chain([None]);
        public.map(move |public| (secrets.clone(), public))
    });
    all.find_map(|(secrets, public)| Scheme::of(preset, &settings(preset, public), secrets).ok())
}

static SCHEMES: LazyLock<Vec<Scheme>> = LazyLock::new(|| {
    let kept = presets::all().iter().filter(|preset| !ELSEWHERE.contains(&preset.name));
    kept.map(|preset| scheme(preset).unwrap_or_else(|| panic!("no key fits {}", preset.name))).collect()
});

static NAMES: LazyLock<Vec<HeaderName>> = LazyLock::new(header_names);

/// Every header that a preset reads: what signing sets, where ids and types are, and those of the vectors.
fn header_names() -> Vec<HeaderName> {
    let mut names: Vec<HeaderName> = vec![];
    let empty = HeaderMap::new();
    let body = br#"{"webhookTimestamp":1}"#;
    for preset in presets::all() {
        let at = [preset.id, preset.event_type].into_iter().flatten();
        names.extend(at.filter_map(|at| match at {
            At::Header(name) => name.parse().ok(),
            At::Json(_) => None,
        }));
        names.extend(preset.secret_headers.iter().filter_map(|name| name.parse().ok()));
        let message = Unsigned { method: "POST", url: URL, headers: &empty, body, id: "a", now: NOW };
        let signed = scheme(preset).and_then(|scheme| scheme.sign(&message));
        names.extend(signed.into_iter().flat_map(|signed| signed.headers).map(|(name, _)| name));
    }
    for vector in seeds() {
        let kept = vector.kept().unwrap();
        names.extend(kept.request(&vector).headers.keys().cloned());
    }
    names.sort_by_key(|name| name.as_str().to_owned());
    names.dedup();
    names
}

/// What stands in such headers, in the right form or not.
fn values() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just("1800000000".to_owned()),
        Just("1800000000000".to_owned()),
        "(sha256=|sha1=|v0=|v1=|v1,|v1a,|t=|h1=|ts=|s=|sig=|Bearer |Basic |GoogleBearer )",
        "[0-9a-f]{0,64}",
        "[A-Za-z0-9+/]{0,43}={0,2}",
        "[A-Za-z0-9_-]{2,40}\\.[A-Za-z0-9_-]{2,40}\\.[A-Za-z0-9_-]{0,86}",
        Just("eyJhbGciOiJub25lIn0.e30.".to_owned()),
        Just("https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-a.pem".to_owned()),
        Just("https://api.paypal.com/v1/notifications/certs/CERT-1".to_owned()),
        "[,;. =:{}/-]{1,3}",
    ];
    prop_oneof![
        8 => prop::collection::vec(word, 0..6).prop_map(|words| words.concat().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ]
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let seeds: Vec<Vec<u8>> =
        seeds().iter().map(|vector| vector.kept().unwrap().request(vector).body.to_vec()).collect();
    prop_oneof![
        3 => prop::sample::select(seeds),
        1 => prop::collection::vec(any::<u8>(), 0..60),
        2 => r#"\{("(type|id|challenge|token|Type|signature|value)":("a"|1|\{\}|\[\]|null),?){0,4}\}?"#
            .prop_map(String::into_bytes),
        1 => "([a-z]{1,4}=[a-z%+0-9]{0,6}&?){0,4}".prop_map(String::into_bytes),
    ]
}

fn urls() -> impl Strategy<Value = String> {
    let query = prop_oneof![
        Just(String::new()),
        "\\?([a-zA-Z_.%0-9]{0,12}=?[ -~é]{0,12}&?){0,3}",
        Just("?bodySHA256=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".to_owned()),
        "\\?(secret|access_token|validationToken|crc_token|challenge|hub\\.challenge)=[a-z%]{0,9}",
    ];
    ("(https://hooks\\.example)?/in/[a-z%]{0,6}#?", query).prop_map(|(base, query)| base + &query)
}

proptest! {
    #![proptest_config(cases(600))]

    /// Each request is tried at every preset.
    #[test]
    fn whoever_has_no_key_sends_no_event_and_makes_nothing_panic(
        method in prop_oneof![Just("POST"), Just("GET"), Just("HEAD"), Just("OPTIONS"), Just("PUT")],
        fields in prop::collection::vec((any::<prop::sample::Index>(), values()), 0..12),
        body in bodies(),
        url in urls(),
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                headers.append(name.get(&NAMES), value);
            }
        }
        let request = Request {
            method, url: &url, headers: &headers, body: &body, now: NOW, published: &NoPublishedKeys, client: None,
        };
        for scheme in SCHEMES.iter() {
            let _ = scheme.require(method, &headers);
            let _ = scheme.content(&request);
            let _ = scheme.sign(&Unsigned { method, url: &url, headers: &headers, body: &body, id: "a", now: NOW });
            let asks = scheme.preset().handshakes.iter().any(|handshake| handshake.is_unsigned(method));
            match scheme.receive(&request) {
                Ok(Received::Event(_)) => prop_assert!(false, "{scheme:?} took {request:?}"),
                Ok(Received::Handshake(_)) => prop_assert!(asks, "{scheme:?} answered {request:?}"),
                Err(failure) => prop_assert!(!failure.to_string().contains("not-guessed"), "{failure}"),
            }
        }
    }
}
