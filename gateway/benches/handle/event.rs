//! The event: 1 KiB of JSON and six headers.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use floodgate_event::proto::{self, Event, Header, KeyKind, Request};
use floodgate_event::source::Intake;
use floodgate_gateway::stage::Verified;

/// The event's id as text.
pub(crate) const ID: &str = "evt_00000000000000000000000000";
/// What the handler is given as parameters.
pub(crate) const PARAMS: &str = r#"{"drop_types":["ping"]}"#;
/// The headers of the request, as a provider sends them.
const HEADERS: [(&str, &[u8]); 6] = [
    ("content-type", b"application/json"),
    ("user-agent", b"GitHub-Hookshot/0000000"),
    ("x-github-event", b"push"),
    ("x-github-delivery", b"72d3162e-cc78-11e3-81ab-4c9367dc0958"),
    ("x-hub-signature-256", b"sha256=0000000000000000000000000000000000000000000000000000000000000000"),
    ("accept", b"*/*"),
];

/// A push of eight commits, 1 KiB in all.
pub(crate) fn body() -> Vec<u8> {
    let commits: Vec<_> = (0..8)
        .map(|n| serde_json::json!({"id": n, "author": {"email": "ada@example.com"}, "message": "x".repeat(64)}))
        .collect();
    let body = serde_json::to_vec(&serde_json::json!({"ref": "refs/heads/main", "commits": commits}));
    let body = body.expect("JSON");
    assert!((1000..1100).contains(&body.len()), "{} bytes", body.len());
    body
}

/// The event as it comes out of verification.
pub(crate) fn verified() -> Verified {
    static BODY: LazyLock<Bytes> = LazyLock::new(|| body().into());
    static ENVELOPE: LazyLock<Event> = LazyLock::new(envelope);
    static INTAKE: LazyLock<Arc<Intake>> =
        LazyLock::new(|| Arc::new(serde_json::from_str("{}").expect("an intake")));
    Verified::unsent(ENVELOPE.clone(), BODY.clone(), Arc::clone(&INTAKE))
}

fn envelope() -> Event {
    let header = |(name, value): &(&str, &'static [u8])| Header {
        name: (*name).to_owned(),
        value: Bytes::from_static(value),
    };
    let request = Request {
        method: "POST".into(),
        path: "/in/github".into(),
        headers: HEADERS.iter().map(header).collect(),
        ..Request::default()
    };
    Event {
        id: vec![0; 16],
        key_kind: KeyKind::Body.into(),
        tenant: "default".into(),
        source: "github".into(),
        r#type: "push".into(),
        provider_id: "72d3162e-cc78-11e3-81ab-4c9367dc0958".into(),
        region: "eu".into(),
        lane: proto::Lane::Standard.into(),
        content_type: "application/json".into(),
        received_at_us: 1,
        body_hash: vec![0; 32],
        request: Some(request),
        ..Event::default()
    }
}
