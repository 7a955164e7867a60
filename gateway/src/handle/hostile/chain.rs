//! Chains of such handlers.

use std::sync::Arc;

use bytes::Bytes;
use floodgate_event::id::BodyHash;
use floodgate_event::proto::event::Disposition;
use floodgate_event::proto::{self, Event, Header, KeyKind, Request};
use floodgate_event::snapshot::{Binding, Digest256};
use floodgate_event::source::{Intake, OnFault, RawPolicy};
use floodgate_event::{EventId, Lane};

use super::guests::{SPIN, component, engine};
use crate::handle::{Chain, FaultKind, Rejected};
use crate::stage::Verified;

fn verified(body: &'static [u8]) -> Verified {
    let hash = BodyHash::of(body);
    let header = Header { name: "x-a".into(), value: Bytes::from_static(b"1") };
    let event = Event {
        id: EventId::from_body("default", "test", &hash).as_bytes().to_vec(),
        key_kind: KeyKind::Body.into(),
        source: "test".into(),
        r#type: "push".into(),
        lane: proto::Lane::Critical.into(),
        body_hash: hash.as_bytes().to_vec(),
        request: Some(Request { headers: vec![header], ..Request::default() }),
        ..Event::default()
    };
    let intake: Intake = serde_json::from_str("{}").unwrap();
    let raw = Bytes::from_static(body);
    Verified { event, body: raw.clone(), raw: Some(raw), intake: Arc::new(intake), shard: 3 }
}

fn chain(handlers: &[&str], on_fault: OnFault, raw: RawPolicy) -> Chain {
    let engine = engine();
    let link = |handle: &&str| {
        let bytes = component(handle);
        let binding = Binding {
            name: "guest".parse().unwrap(),
            version: 1,
            digest: Digest256::of(&bytes),
            on_fault,
            params: serde_json::Map::new(),
        };
        (binding, engine.load(&bytes).unwrap())
    };
    Chain::new(&engine, handlers.iter().map(link).collect(), raw)
}

/// `ok(change(body: memory[18..24], type: memory[16..17]))`.
const CHANGE: &str = "(i32.store8 (i32.const 1028) (i32.const 2))
    (i32.store8 (i32.const 1032) (i32.const 1)) (i32.store (i32.const 1036) (i32.const 18))
    (i32.store (i32.const 1040) (i32.const 6))
    (i32.store8 (i32.const 1044) (i32.const 1)) (i32.store (i32.const 1048) (i32.const 16))
    (i32.store (i32.const 1052) (i32.const 1)) (i32.const 1024)";
/// Traps unless the event's body, whose length stands at offset 88 of the record, has 6 bytes.
const EXPECTS_CHANGE: &str = "(if (i32.ne (i32.load offset=88 (local.get $event)) (i32.const 6)) (then (unreachable))) (i32.const 1024)";
/// `ok(split([memory[16..17], memory[18..24]]))`.
const SPLIT: &str = "(i32.store8 (i32.const 1028) (i32.const 3))
    (i32.store (i32.const 1032) (i32.const 2048)) (i32.store (i32.const 1036) (i32.const 2))
    (i32.store (i32.const 2060) (i32.const 16)) (i32.store (i32.const 2064) (i32.const 1))
    (i32.store (i32.const 2080) (i32.const 18)) (i32.store (i32.const 2084) (i32.const 6)) (i32.const 1024)";

#[tokio::test]
async fn each_handler_sees_what_the_one_before_changed() {
    let chain = chain(&[CHANGE, EXPECTS_CHANGE], OnFault::Quarantine, RawPolicy::Keep);
    let handled = chain.run(verified(b"{\"a\":1}")).await.unwrap();
    let event = &handled.events[0];
    assert_eq!((event.payload.as_deref(), &*event.r#type), (Some(&b"header"[..]), "a"));
    assert_eq!(event.request.as_ref().unwrap().raw.as_deref(), Some(&b"{\"a\":1}"[..]));
    assert_eq!(event.lane, i32::from(proto::Lane::Standard), "the source's lane for the new type");
    let outcomes: Vec<_> = event.handlers.iter().map(|run| run.outcome.as_str()).collect();
    assert_eq!((outcomes, &event.disposition, handled.shard), (vec!["change", "pass"], &None, 3));
}

#[tokio::test]
async fn a_fault_quarantines_the_event_as_it_was_received() {
    let chain = chain(&[CHANGE, SPIN], OnFault::Quarantine, RawPolicy::Drop);
    let handled = chain.run(verified(b"body")).await.unwrap();
    let event = &handled.events[0];
    assert_eq!((event.payload.as_deref(), &*event.r#type), (Some(&b"body"[..]), "push"));
    assert_eq!(event.lane, i32::from(proto::Lane::Critical));
    assert_eq!(event.request.as_ref().unwrap().raw, None);
    let Some(Disposition::Quarantined(quarantined)) = &event.disposition else { panic!("{event:?}") };
    assert_eq!((&*quarantined.handler, &*quarantined.kind), ("guest", "deadline"));
}

#[tokio::test]
async fn a_fault_rejects_where_the_binding_says_so() {
    let chain = chain(&["(unreachable)"], OnFault::Reject, RawPolicy::Keep);
    let Rejected { handler, fault } = chain.run(verified(b"body")).await.unwrap_err();
    assert_eq!((&*handler, fault.kind()), ("guest", FaultKind::Trap));
}

#[tokio::test]
async fn children_follow_their_tombstone_and_go_through_the_rest_of_the_chain() {
    let chain = chain(&[SPLIT, EXPECTS_CHANGE], OnFault::Quarantine, RawPolicy::Keep);
    let handled = chain.run(verified(b"body")).await.unwrap();
    let [parent, bad, good] = &handled.events[..] else { panic!("{handled:?}") };

    let Some(Disposition::Filtered(filtered)) = &parent.disposition else { panic!("{parent:?}") };
    assert_eq!((&*filtered.reason, &parent.payload), ("split", &None));
    assert_eq!(parent.request.as_ref().unwrap().raw, None);
    assert!(matches!(bad.disposition, Some(Disposition::Quarantined(_))));

    let made_by = good.parent.as_ref().unwrap();
    let parent_id = EventId::try_from(&*parent.id).unwrap();
    assert_eq!(good.id, EventId::child(parent_id, 1, &made_by.handler_digest).as_bytes());
    assert_eq!((&made_by.id, made_by.ordinal, good.key_kind), (&parent.id, 1, KeyKind::Child.into()));
    assert_eq!((good.payload.as_deref(), &good.disposition), (Some(&b"header"[..]), &None));
    assert_eq!(good.body_hash, BodyHash::of(b"header").as_bytes());
    assert_eq!(good.request.as_ref().unwrap().headers, parent.request.as_ref().unwrap().headers);
    assert_eq!((good.lane, &*good.r#type), (parent.lane, "push"));
}

#[tokio::test]
async fn a_child_cannot_be_split_again() {
    let chain = chain(&[SPLIT, SPLIT], OnFault::Quarantine, RawPolicy::Keep);
    let handled = chain.run(verified(b"body")).await.unwrap();
    let Some(Disposition::Quarantined(quarantined)) = &handled.events[1].disposition else { panic!() };
    assert_eq!(quarantined.kind, "output");
}

#[tokio::test]
async fn without_handlers_an_event_goes_through_as_it_is() {
    for (policy, raw, payload) in
        [(RawPolicy::Keep, Some("body"), None), (RawPolicy::Drop, None, Some("body"))]
    {
        let handled = chain(&[], OnFault::Quarantine, policy).run(verified(b"body")).await.unwrap();
        let event = &handled.events[0];
        let bytes = |text: Option<&'static str>| text.map(|text| Bytes::from_static(text.as_bytes()));
        assert_eq!((&event.request.as_ref().unwrap().raw, &event.payload), (&bytes(raw), &bytes(payload)));
        assert_eq!(Lane::try_from(event.lane), Ok(Lane::Critical));
    }
}
