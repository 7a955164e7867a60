//! What decides that two requests are the same event, and what an event keeps of its request.

use std::time::SystemTime;

use bytes::Bytes;
use floodgate_event::{EventId, Secret, ShardCount};
use floodgate_schemes::NamedSecret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Request;
use sha2::Sha256;

use super::*;

impl Verifier {
    fn event_of(&self, request: Received) -> Result<Verified, Refusal> {
        let published = Published::empty();
        match self.check(&request, &published)? {
            floodgate_schemes::Received::Event(secret) => self.event(request, secret),
            floodgate_schemes::Received::Handshake(answer) => panic!("{answer:?}"),
        }
    }
}

fn verifier(intake: &str) -> Verifier {
    let source = format!(
        r#"{{"tenant": "default", "scheme": "github", "secrets": [], "handlers": [],
             "tolerance_seconds": null, "intake": {intake}}}"#
    );
    let secrets = vec![NamedSecret { id: "sec_1".to_owned(), secret: Secret::new("k") }];
    let deployment =
        Deployment { region: "eu".parse().unwrap(), revision: 7, shards: ShardCount::new(8).unwrap() };
    Verifier::new("github".parse().unwrap(), &serde_json::from_str(&source).unwrap(), secrets, deployment)
        .unwrap()
}

fn request(body: &'static str, delivery: &str) -> Received {
    typed(body, delivery, b"push")
}

fn typed(body: &'static str, delivery: &str, event_type: &[u8]) -> Received {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"k").unwrap();
    mac.update(body.as_bytes());
    let request = Request::post("/in/github?x=1")
        .header("x-hub-signature-256", format!("sha256={}", hex::encode(mac.finalize().into_bytes())))
        .header("x-github-delivery", delivery)
        .header("x-github-event", event_type)
        .body(Bytes::from_static(body.as_bytes()))
        .unwrap();
    Received::for_test(request, SystemTime::UNIX_EPOCH)
}

#[test]
fn an_id_that_the_signature_does_not_cover_is_for_display_only() {
    let verifier = verifier("{}");
    let first = verifier.event_of(request("{}", "a")).unwrap().event;
    let again = verifier.event_of(request("{}", "b")).unwrap().event;
    assert_eq!((&first.id, first.key_kind), (&again.id, KeyKind::TypedBody.into()));
    assert_eq!((first.provider_id.as_str(), again.provider_id.as_str()), ("a", "b"));
}

#[test]
fn an_id_that_it_covers_decides_whatever_the_rest_of_the_body_says() {
    let verifier = verifier(r#"{"event_id": {"json": "/id"}}"#);
    let first = verifier.event_of(request(r#"{"id": 5}"#, "a")).unwrap().event;
    let again = verifier.event_of(request(r#"{"id": "5", "x": 1}"#, "a")).unwrap().event;
    assert_eq!((&first.id, first.key_kind), (&again.id, KeyKind::Id.into()));
    assert_ne!(first.body_hash, again.body_hash);
    let without = verifier.event_of(request(r#"{"id": null}"#, "a")).unwrap().event;
    assert_eq!(without.key_kind, i32::from(KeyKind::TypedBody));
}

fn id_of(verifier: &Verifier, request: Received) -> (String, i32) {
    let event = verifier.event_of(request).unwrap().event;
    (EventId::try_from(&*event.id).unwrap().to_string(), event.key_kind)
}

#[test]
fn one_body_under_two_unsigned_types_is_two_events() {
    for intake in ["{}", r#"{"dedup": "body"}"#] {
        let verifier = verifier(intake);
        let push = id_of(&verifier, typed("{}", "a", b"push"));
        assert_eq!(push, id_of(&verifier, typed("{}", "b", b"push")), "the same event once more");
        assert_ne!(push.0, id_of(&verifier, typed("{}", "a", b"star")).0);
        let odd = ["caf\u{e9}", "caf\u{ea}"].map(|text| {
            let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
            id_of(&verifier, typed("{}", "a", &latin)).0
        });
        assert_ne!(odd[0], odd[1], "types that cannot be read are told apart all the same");
    }
    // The body's own type is signed with it.
    let signed = verifier(r#"{"event_type": {"json": "/type"}}"#);
    let (push, star) = (typed("{}", "a", b"push"), typed("{}", "a", b"star"));
    assert_eq!(id_of(&signed, push), id_of(&signed, star));
    let expected = EventId::from_body("default", "github", &BodyHash::of(b"{}")).to_string();
    assert_eq!(id_of(&signed, request("{}", "a")), (expected, KeyKind::Body.into()), "as it always was");
}

#[test]
fn a_delivery_s_id_decides_where_the_source_says_so() {
    let verifier = verifier(r#"{"dedup": "delivery"}"#);
    let first = id_of(&verifier, request("{}", "a"));
    assert_eq!(first, id_of(&verifier, request("[]", "a")));
    assert_ne!(first.0, id_of(&verifier, request("{}", "b")).0);
    assert_eq!(first.1, i32::from(KeyKind::Delivery));
    assert_eq!(id_of(&verifier, request("{}", "")).1, i32::from(KeyKind::TypedBody), "without one");
    // What is signed stays what it is.
    let signed = self::verifier(r#"{"dedup": "delivery", "event_id": {"json": "/id"}}"#);
    let expected = EventId::from_provider_id("default", "github", "5").to_string();
    assert_eq!(id_of(&signed, request(r#"{"id": 5}"#, "a")), (expected, KeyKind::Id.into()));
}

#[test]
fn long_ids_are_told_apart() {
    let verifier = verifier(r#"{"event_id": {"json": "/id"}, "dedup": "id"}"#);
    let body = |length| -> &'static str {
        Box::leak(format!("{{\"id\": \"{}\"}}", "x".repeat(length)).into_boxed_str())
    };
    let ids = [512, 513, 30_000].map(|length| id_of(&verifier, request(body(length), "a")));
    assert!(ids.iter().all(|(_, kind)| *kind == i32::from(KeyKind::Id)), "{ids:?}");
    assert!(ids[0].0 != ids[1].0 && ids[1].0 != ids[2].0, "{ids:?}");
}

#[test]
fn types_that_a_source_does_not_list_are_refused_signed_or_not() {
    let verifier = verifier(r#"{"types": ["push", "issues*"]}"#);
    for (event_type, taken) in
        [(&b"push"[..], true), (b"issues.opened", true), (b"star", false), (b"caf\xe9", false), (b"", false)]
    {
        match verifier.event_of(typed("{}", "a", event_type)) {
            Ok(_) => assert!(taken, "{event_type:?}"),
            Err(refusal) => {
                assert!(!taken && refusal == Refusal::TypeRefused, "{event_type:?}: {refusal}")
            }
        }
    }
}

#[test]
fn an_odd_token_takes_no_field_away_and_what_cannot_be_read_is_said() {
    let verifier = verifier(r#"{"event_id": {"json": "/id"}, "event_type": {"json": "/type"}}"#);
    let verified = verifier.event_of(request(r#"{"\ud83d": 1, "id": "a", "type": "t"}"#, "a")).unwrap();
    assert_eq!((verified.event.r#type.as_str(), verified.event.provider_id.as_str()), ("t", "a"));
    assert_eq!((verified.unread.len(), verified.event.unread.len()), (0, 0));
    let verified = verifier.event_of(request(r#"{"id": "a", "type": "\ud83d"}"#, "a")).unwrap();
    assert_eq!((verified.event.r#type.as_str(), verified.event.provider_id.as_str()), ("", "a"));
    assert_eq!(verified.unread, [("type", "malformed")]);
    assert_eq!(verified.event.unread.len(), 1);
}

#[test]
fn without_dedup_every_request_is_an_event() {
    let verifier = verifier(r#"{"dedup": "none"}"#);
    let ids = ["a", "a"].map(|delivery| verifier.event_of(request("{}", delivery)).unwrap().event.id);
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn what_is_ordered_together_shares_a_shard() {
    let verifier = verifier(r#"{"order_by": {"json": "/customer"}}"#);
    let bodies = [r#"{"customer":"c","n":1}"#, r#"{"customer":"c","n":2}"#, r#"{"customer":"c","n":3}"#];
    let shards = bodies.map(|body| verifier.event_of(request(body, "a")).unwrap().shard);
    assert_eq!(shards, [shards[0]; 3]);
}

#[test]
fn headers_keep_their_bytes_and_repeats() {
    let mut request = request("{}", "a");
    let (mut parts, body) = (request.parts().clone(), request.into_raw());
    for (name, value) in
        [("content-type", &b"text/plain; a=\xe4"[..]), ("x-b", b"2\xff"), ("x-b", b"1"), ("x-c", b"")]
    {
        let name = name.parse::<http::HeaderName>().unwrap();
        parts.headers.append(name, http::HeaderValue::from_bytes(value).unwrap());
    }
    request = Received::for_test(Request::from_parts(parts, body), SystemTime::UNIX_EPOCH);
    let event = verifier("{}").event_of(request).unwrap().event;
    assert_eq!(event.content_type, "text/plain; a=\u{fffd}");
    let headers = event.request.unwrap().headers;
    let values = |name: &str| -> Vec<Bytes> {
        headers.iter().filter(|header| header.name == name).map(|header| header.value.clone()).collect()
    };
    assert_eq!(values("content-type"), [&b"text/plain; a=\xe4"[..]]);
    assert_eq!(values("x-b"), [&b"2\xff"[..], b"1"]);
    assert_eq!(values("x-c"), [&b""[..]]);
}

#[test]
fn the_envelope_says_what_was_received() {
    let event = verifier(r#"{"lanes": {"push": "critical"}}"#).event_of(request("{}", "a")).unwrap().event;
    let request = event.request.unwrap();
    assert_eq!((request.path.as_str(), request.query.as_str()), ("/in/github", "x=1"));
    assert_eq!(request.headers.len(), 3);
    assert_eq!((event.r#type.as_str(), event.lane), ("push", floodgate_event::proto::Lane::Critical.into()));
    assert_eq!((event.secret_id.as_str(), event.config_revision), ("sec_1", 7));
}
