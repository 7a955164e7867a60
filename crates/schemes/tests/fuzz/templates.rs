//! Templates of the generic scheme, sensible or not.

use floodgate_event::Secret;
use floodgate_event::scheme::{
    Algorithm, Encoding, Form, KeyFormat, Settings, Template, Timestamp, TimestampAt, Unit,
};
use floodgate_schemes::{Failure, NamedSecret, NoPublishedKeys, Received, Request, Scheme, Step, Unsigned};
use http::HeaderMap;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use super::cases;

const NOW: u64 = 1_800_000_000;
const URL: &str = "https://hooks.example/in/a";
const BODY: &[u8] = br#"{"t": 1800000000, "id": "evt_1"}"#;

fn content() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => prop::sample::select(vec!["{body}", "{timestamp}", "{id}", "{method}", "{url}"]).prop_map(str::to_owned),
        3 => "[.:v0 é|]{1,2}",
        1 => prop::sample::select(vec!["{", "}", "{}", "{bodies}", "{body", "{{body}}", "\0"]).prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..7).prop_map(|pieces| pieces.concat())
}

fn header() -> impl Strategy<Value = String> {
    prop_oneof![4 => "x-[a-z]{1,3}", 1 => "[ -~]{0,4}"]
}

fn templates() -> impl Strategy<Value = Template> {
    let form = prop_oneof![
        Just(Form::Bare),
        "[a-z0-9=,.]{0,4}".prop_map(Form::Prefix),
        ("[,;=a. ]", "[a-z0-9=]{0,3}")
            .prop_map(|(separator, name)| Form::Pairs { separator: separator.chars().next().unwrap(), name }),
        "[a-z0-9,]{0,4}".prop_map(Form::List),
        Just(Form::Numbered),
    ];
    let at = prop_oneof![
        header().prop_map(TimestampAt::Header),
        "[a-z=,]{0,2}".prop_map(TimestampAt::Pair),
        prop_oneof![Just("/t".to_owned()), "/?[a-z~]{0,2}"].prop_map(TimestampAt::Json),
    ];
    let unit = prop_oneof![Just(Unit::Seconds), Just(Unit::Milliseconds)];
    let timestamp = prop::option::of((at, unit).prop_map(|(at, unit)| Timestamp { at, unit }));
    let algorithm = prop::sample::select(vec![
        Algorithm::HmacSha1,
        Algorithm::HmacSha256,
        Algorithm::HmacSha384,
        Algorithm::HmacSha512,
        Algorithm::Ed25519,
    ]);
    let key = prop::sample::select(vec![KeyFormat::Utf8, KeyFormat::Hex, KeyFormat::Base64, KeyFormat::Pem]);
    let encoding = prop::sample::select(vec![Encoding::Hex, Encoding::Base64]);
    let place = (header(), form, prop::option::of(header()));
    (algorithm, key, encoding, place, content(), timestamp).prop_map(
        |(algorithm, key, encoding, (header, form, id_header), content, timestamp)| Template {
            algorithm,
            key,
            header,
            form,
            encoding,
            content,
            timestamp,
            id_header,
        },
    )
}

fn prepared(template: &Template, secret: &str) -> Option<Scheme> {
    let settings = Settings {
        signature: Some(template.clone()),
        url: Some(URL.to_owned()),
        tolerance_seconds: template.timestamp.as_ref().map(|_| 300),
        ..Settings::default()
    };
    let secrets = vec![NamedSecret { id: "sec_1".to_owned(), secret: Secret::new(secret.to_owned()) }];
    Scheme::new("signed", &settings, secrets).ok()
}

fn receive(scheme: &Scheme, headers: &HeaderMap, body: &[u8]) -> Result<(), Failure> {
    let published = &NoPublishedKeys;
    let request = Request { method: "POST", url: URL, headers, body, now: NOW, published, client: None };
    scheme.receive(&request).map(|received| assert!(matches!(received, Received::Event("sec_1"))))
}

#[test]
fn the_strategy_makes_templates_that_are_used() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut made = 0;
    for _ in 0..2_000 {
        let template = templates().new_tree(&mut runner).unwrap().current();
        made += usize::from(prepared(&template, "ab".repeat(16).as_str()).is_some());
    }
    assert!(made >= 20, "{made} of 2,000");
}

proptest! {
    #![proptest_config(cases(4_000))]

    #[test]
    fn a_template_that_is_taken_signs_what_it_verifies_and_nothing_else(
        template in templates(),
        at: prop::sample::Index,
        mask in 1..=u8::MAX,
    ) {
        let text = serde_json::to_string(&template).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Template>(&text).unwrap(), &template);
        let Some(scheme) = prepared(&template, &"ab".repeat(16)) else { return Ok(()) };
        prop_assert!(receive(&scheme, &HeaderMap::new(), BODY).is_err(), "unsigned");
        let none = HeaderMap::new();
        let message = Unsigned { method: "POST", url: URL, headers: &none, body: BODY, id: "msg_1", now: NOW };
        let Some(signed) = scheme.sign(&message) else { return Ok(()) };
        let headers: HeaderMap = signed.headers.into_iter().collect();
        match receive(&scheme, &headers, BODY) {
            // Two values in one header, a separator that a value contains, or a time that the body has not.
            Err(failure) => prop_assert!(failure.step() <= Step::Time, "{template:?}: {failure}"),
            Ok(()) => {
                let mut body = BODY.to_vec();
                body[at.index(BODY.len())] ^= mask;
                prop_assert!(receive(&scheme, &headers, &body).is_err(), "{template:?}");
                let other = prepared(&template, &"cd".repeat(16)).unwrap();
                prop_assert!(receive(&other, &headers, BODY).is_err(), "{template:?}");
            }
        }
    }

    #[test]
    fn no_text_makes_the_reader_of_templates_panic(text in r#"[{}"a-z:,\[\]0-9-]{0,60}"#, content in "\\PC{0,20}") {
        let _ = serde_json::from_str::<Template>(&text);
        let template = Template { content, ..Template::hmac_sha256("x-signature") };
        let _ = prepared(&template, "k");
    }
}
