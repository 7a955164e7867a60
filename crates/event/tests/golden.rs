//! Golden bytes: what is on disk in a region or the centre must go on being readable.
//! A change here is a change of format: raise the version and say so in `docs/formats.md`.

use bytes::Bytes;
use floodgate_event::ShardId;
use floodgate_event::format::{VERSION, decode};
use floodgate_event::proto::log_block::Content;
use floodgate_event::proto::verdict::Kind;
use floodgate_event::proto::{
    Accepted, Attempt, Block, DeliveryKey, Entry, Event, Fence, HandlerRun, Header, HeldAccepted,
    HeldRequest, Incarnation, JournalBlock, KeyKind, Lane, LogBlock, Matched, MatchedEvents, Origin, Pinned,
    Position, Purge, Quarantined, Record, Reject, Replay, Replayed, Replica, Request, SealedRequest,
    SourceCount, Target, Verdict, attempt, held_verified, record, replayed,
};
use floodgate_event::{held, reject, replay};
use prost::Message as _;

fn event() -> Event {
    Event {
        id: vec![1; 16],
        key_kind: KeyKind::Id.into(),
        tenant: "default".into(),
        source: "stripe".into(),
        provider_id: "evt_1".into(),
        r#type: "invoice.paid".into(),
        lane: Lane::Standard.into(),
        region: "eu".into(),
        received_at_us: 1_700_000_000_000_000,
        body_hash: vec![2; 16],
        request: Some(Request {
            method: "POST".into(),
            path: "/in/stripe".into(),
            query: String::new(),
            remote_address: "192.0.2.1:443".into(),
            headers: vec![Header {
                name: "content-type".into(),
                value: Bytes::from_static(b"application/json"),
            }],
            raw: Some(Bytes::from_static(b"{}")),
        }),
        scheme: "stripe".into(),
        secret_id: "sec_1".into(),
        config_revision: 7,
        handlers: vec![HandlerRun {
            name: "redact".into(),
            version: 3,
            digest: vec![3; 32],
            outcome: "change".into(),
        }],
        payload: Some(Bytes::from_static(b"{\"a\":1}")),
        content_type: "application/json".into(),
        ..Event::default()
    }
}

fn hex_of<T: prost::Message + Default + PartialEq + std::fmt::Debug>(message: &T) -> String {
    let bytes = message.encode_to_vec();
    assert_eq!(T::decode(&*bytes).as_ref(), Ok(message));
    hex::encode(bytes)
}

fn log_block(content: Content) -> LogBlock {
    LogBlock {
        version: VERSION,
        id: vec![4; 16],
        writer: vec![5; 16],
        epoch: 2,
        appended_at_us: 1_700_000_000_000_001,
        content: Some(content),
    }
}

#[test]
fn regional_block() {
    let block = Block {
        version: VERSION,
        id: vec![6; 16],
        region: "eu".into(),
        lane: Lane::Standard.into(),
        shard: 0,
        gateway: "eu-1".into(),
        sealed_at_us: 1_700_000_000_000_002,
        events: vec![event()],
    };
    decode::<Block>(&*block.encode_to_vec()).unwrap();
    insta::assert_snapshot!(hex_of(&block));
}

#[test]
fn central_blocks() {
    let origin =
        Origin { region: "eu".into(), incarnation: "a1".into(), lane: Lane::Standard.into(), sequence: 9 };
    let verdict = |kind: Kind| Verdict {
        kind: kind.into(),
        event_id: vec![1; 16],
        source: "stripe".into(),
        ..Verdict::default()
    };
    let stored = Entry { verdict: Some(verdict(Kind::Stored)), event: Some(event()) };
    let duplicate = Verdict {
        duplicate_of: Some(Position { sequence: 3, index: 1 }),
        body_differs: true,
        ..verdict(Kind::Duplicate)
    };
    let duplicate = Entry { verdict: Some(duplicate), event: None };
    let blocks = [
        Content::Replica(Replica {
            origin: Some(origin),
            block_id: vec![6; 16],
            gateway: "eu-1".into(),
            sealed_at_us: 1_700_000_000_000_002,
            entries: vec![stored, duplicate],
            set_aside: None,
        }),
        Content::Fence(Fence { holder: "relay-1".into() }),
        Content::Purge(Purge {
            region: "eu".into(),
            incarnation: "a1".into(),
            lane: Lane::Standard.into(),
            through: 8,
            accepted: vec![SourceCount { source: "stripe".into(), count: 12 }],
        }),
        Content::Incarnation(Incarnation {
            region: "eu".into(),
            lane: Lane::Standard.into(),
            previous: "a1".into(),
            current: "a2".into(),
        }),
    ];
    let blocks = blocks.map(log_block);
    blocks.iter().for_each(|block| drop(decode::<LogBlock>(&*block.encode_to_vec()).unwrap()));
    insta::assert_debug_snapshot!(blocks.each_ref().map(hex_of));
}

#[test]
fn journal_block() {
    let delivery = DeliveryKey { log_sequence: 9, index: 0, destination: "billing".into(), generation: 0 };
    let records = [
        record::Record::Matched(Matched {
            log_sequence: 9,
            lane: Lane::Standard.into(),
            config_revision: 7,
            targets: vec![Target {
                destination: "billing".into(),
                source: "stripe".into(),
                indexes: vec![0, 2],
            }],
            events: None,
            more: false,
        }),
        record::Record::Attempt(Attempt {
            delivery: Some(delivery),
            number: 1,
            started_at_us: 1_700_000_000_000_003,
            duration_ms: 12,
            outcome: attempt::Outcome::Failed.into(),
            status: 503,
            error: String::new(),
            response: b"busy".to_vec(),
            next_attempt_at_us: 1_700_000_005_000_000,
        }),
    ];
    let block = JournalBlock {
        version: VERSION,
        id: vec![4; 16],
        writer: vec![5; 16],
        epoch: 2,
        records: records.map(|record| Record { record: Some(record) }).into(),
    };
    decode::<JournalBlock>(&*block.encode_to_vec()).unwrap();
    insta::assert_snapshot!(hex_of(&block));
}

#[test]
fn matched_with_counts() {
    let count = |source: &str, count| SourceCount { source: source.into(), count };
    let matched = Matched {
        log_sequence: 41,
        lane: Lane::Standard.into(),
        config_revision: 7,
        targets: Vec::new(),
        events: Some(MatchedEvents { routed: vec![count("stripe", 2)], unmatched: vec![count("github", 3)] }),
        more: false,
    };
    insta::assert_snapshot!(hex_of(&matched));
}

#[test]
fn replays() {
    let handler = Pinned { name: "redact".into(), version: 4, digest: vec![3; 32], size: 9 };
    let request = replay::request(event(), ShardId::new(1), Some(handler));
    decode::<Replay>(&*request.encode_to_vec()).unwrap();
    let fault = Quarantined { handler: "redact".into(), kind: "trap".into(), ..Quarantined::default() };
    let answers = [
        replayed::Result::Accepted(Accepted { outcome: "change".into() }),
        replayed::Result::Fault(fault),
        replayed::Result::Refused("no source".into()),
        replayed::Result::Unavailable("draining".into()),
    ];
    let answers = answers.map(replay::answer);
    answers.iter().for_each(|answer| drop(decode::<Replayed>(&*answer.encode_to_vec()).unwrap()));
    insta::assert_debug_snapshot!((hex_of(&request), answers.each_ref().map(hex_of)));
}

#[test]
fn refused_and_held_requests() {
    let row = Reject { id: "rej_1".into(), at_us: 7, code: "signature-refused".into(), ..Reject::default() };
    let block = reject::block("eu", "eu-1", vec![row]);
    let (method, target) = ("POST".to_owned(), "/in/stripe".to_owned());
    let request = HeldRequest { version: VERSION, method, target, ..HeldRequest::default() };
    let (source, bytes) = ("stripe".to_owned(), Bytes::from_static(b"sealed"));
    let sealed = SealedRequest { version: VERSION, source, sealed: bytes, ..SealedRequest::default() };
    let asked = held::verify(sealed.clone(), true);
    let accepted = held_verified::Result::Accepted(HeldAccepted { secret_id: "sec_1".into() });
    let answer = held::answer("192.0.2.1:443".into(), accepted);
    let without_key = held::answer(String::new(), held_verified::Result::WithoutKey("key_1".into()));
    insta::assert_debug_snapshot!([
        hex_of(&block),
        hex_of(&request),
        hex_of(&sealed),
        hex_of(&asked),
        hex_of(&answer),
        hex_of(&without_key)
    ]);
}
