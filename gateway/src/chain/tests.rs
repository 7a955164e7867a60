//! Chains of handlers that misbehave.

use std::sync::Arc;

use bytes::Bytes;
use floodgate_event::id::BodyHash;
use floodgate_event::proto::event::Disposition;
use floodgate_event::proto::{self, Event, Header, KeyKind, Request};
use floodgate_event::rollout::{self, Share, TrialKind};
use floodgate_event::source::{HandlerLimits, Intake, OnFault, RawPolicy};
use floodgate_event::{Digest256, EventId, Lane, ShardId};
use floodgate_sandbox::{Engine, FaultKind, Limits};
use floodgate_sandbox_guests::{PASS, SPIN, component};
use prometheus::Registry;

use super::{BoundHandler, Chain, Comparison, LogSender, NotHandled, Rejected, Trial, Version, VersionId};
use crate::stage::Verified;

fn engine() -> Engine {
    let limits = Limits { instances: 16, ..Limits::default() };
    Engine::new(limits, &Registry::new()).unwrap()
}

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
    Verified {
        event,
        body: raw.clone(),
        raw: Some(raw),
        intake: Arc::new(intake),
        shard: ShardId::new(3),
        unread: Vec::new(),
        memory: floodgate_listen::Reservation::uncounted(),
    }
}

fn version(engine: &Engine, number: u32, handle: &str) -> Arc<Version> {
    let bytes = component(handle);
    let id = VersionId { name: "guest".parse().unwrap(), version: number, digest: Digest256::of(&bytes) };
    Arc::new(Version::new(engine, id, engine.load(&bytes).unwrap()))
}

fn link(engine: &Engine, handle: &str, on_fault: OnFault) -> BoundHandler {
    let (version, granted) = (version(engine, 1, handle), Arc::default());
    let limits = engine.resolve(&HandlerLimits::default()).unwrap();
    BoundHandler { version, params: "{}".into(), granted, limits, on_fault, trial: None }
}

fn chain(handlers: &[&str], on_fault: OnFault, raw: RawPolicy) -> Chain {
    let engine = engine();
    let links = handlers.iter().map(|handle| link(&engine, handle, on_fault)).collect();
    Chain::new(links, raw, LogSender::new().0)
}

/// `ok(change(body: memory[18..24], type: memory[16..17]))`.
const CHANGE: &str = "(i32.store8 (i32.const 1028) (i32.const 2))
    (i32.store8 (i32.const 1032) (i32.const 1)) (i32.store (i32.const 1036) (i32.const 18))
    (i32.store (i32.const 1040) (i32.const 6))
    (i32.store8 (i32.const 1044) (i32.const 1)) (i32.store (i32.const 1048) (i32.const 16))
    (i32.store (i32.const 1052) (i32.const 1)) (i32.const 1024)";
/// Traps unless the event's body, whose length stands at offset 56 of the record, has 6 bytes.
const EXPECTS_CHANGE: &str = "(if (i32.ne (i32.load offset=56 (local.get $event)) (i32.const 6)) (then (unreachable))) (i32.const 1024)";
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
    assert_eq!(
        (outcomes, &event.disposition, handled.shard),
        (vec!["change", "pass"], &None, ShardId::new(3))
    );
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
    let NotHandled::Rejected(Rejected { handler, fault }) = chain.run(verified(b"body")).await.unwrap_err()
    else {
        panic!("there is memory enough")
    };
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

#[tokio::test]
async fn a_fault_passes_the_event_on_where_the_binding_says_so() {
    let chain = chain(&[CHANGE, "(unreachable)", EXPECTS_CHANGE], OnFault::Pass, RawPolicy::Keep);
    let handled = chain.run(verified(b"body")).await.unwrap();
    let event = &handled.events[0];
    assert_eq!((event.payload.as_deref(), &event.disposition), (Some(&b"header"[..]), &None));
    let outcomes: Vec<_> = event.handlers.iter().map(|run| run.outcome.as_str()).collect();
    assert_eq!(outcomes, ["change", "fault", "pass"]);
}

#[tokio::test]
async fn a_handler_that_fails_on_every_event_is_not_run_for_a_while() {
    let chain = chain(&["(unreachable)"], OnFault::Quarantine, RawPolicy::Keep);
    let mut kinds = Vec::new();
    for _ in 0..25 {
        let handled = chain.run(verified(b"body")).await.unwrap();
        let Some(Disposition::Quarantined(fault)) = &handled.events[0].disposition else { panic!() };
        kinds.push(fault.kind.clone());
    }
    assert_eq!(kinds.iter().filter(|kind| *kind == "trap").count(), 20);
    assert!(kinds[20..].iter().all(|kind| kind == "breaker"), "{kinds:?}");
}

/// `ok(respond(202, [], memory[16..17], deliver: true))`.
const ANSWER: &str = "(i32.store8 (i32.const 1028) (i32.const 4))
    (i32.store16 (i32.const 1032) (i32.const 202))
    (i32.store (i32.const 1044) (i32.const 16)) (i32.store (i32.const 1048) (i32.const 1))
    (i32.store8 (i32.const 1052) (i32.const 1)) (i32.const 1024)";

#[tokio::test]
async fn an_answer_may_let_the_event_go_on() {
    let chain = chain(&[ANSWER, CHANGE], OnFault::Quarantine, RawPolicy::Keep);
    let handled = chain.run(verified(b"body")).await.unwrap();
    let event = &handled.events[0];
    assert_eq!((event.payload.as_deref(), &event.disposition), (Some(&b"header"[..]), &None));
    let answer = handled.answer.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (202, &b"a"[..]));
}

/// A chain of version 1, with version 2 tried on all events.
fn tried(promoted: &str, tried: &str, kind: TrialKind) -> (Chain, Arc<Comparison>) {
    let engine = engine();
    let comparison = Arc::new(Comparison::new("guest".parse().unwrap(), 7));
    let version = version(&engine, 2, tried);
    let share = Share::try_from(100.0).unwrap();
    let spec = rollout::Trial { id: 7, kind, version: 2, digest: version.id().digest, share };
    let trial = Some(Trial::new(spec, version, Arc::default(), Arc::clone(&comparison)));
    let link = BoundHandler { trial, ..link(&engine, promoted, OnFault::Quarantine) };
    (Chain::new(vec![link], RawPolicy::Keep, LogSender::new().0), comparison)
}

async fn runs(chain: &Chain) -> Vec<(u32, String)> {
    let handled = chain.run(verified(b"body")).await.unwrap();
    handled.events[0].handlers.iter().map(|run| (run.version, run.outcome.clone())).collect()
}

#[tokio::test]
async fn a_shadow_is_compared_and_has_no_effect() {
    let (chain, comparison) = tried(PASS, CHANGE, TrialKind::Shadow);
    assert_eq!(runs(&chain).await, [(1, "pass".into())]);
    let report = comparison.report();
    assert_eq!((report.tally.events, report.tally.differences, report.tally.faults), (1, 1, 0));
    assert_eq!(report.samples[0].parts, ["outcome", "body", "type"]);
}

#[tokio::test]
async fn a_canary_decides_and_one_that_fails_costs_no_event() {
    let (chain, comparison) = tried(PASS, CHANGE, TrialKind::Canary);
    assert_eq!(runs(&chain).await, [(2, "change".into())]);
    assert_eq!(comparison.report().tally.differences, 1);

    let (chain, comparison) = tried(CHANGE, SPIN, TrialKind::Canary);
    assert_eq!(runs(&chain).await, [(2, "fault".into()), (1, "change".into())]);
    let report = comparison.report();
    assert_eq!((report.tally.events, report.tally.faults), (1, 1));
    assert_eq!(report.samples[0].tried, "fault: deadline");
}

#[tokio::test]
async fn the_children_of_a_canary_s_split_are_named_after_it() {
    let (chain, _) = tried(PASS, SPLIT, TrialKind::Canary);
    let handled = chain.run(verified(b"body")).await.unwrap();
    let digest = &handled.events[0].handlers[0].digest;
    assert_eq!(&handled.events[1].parent.as_ref().unwrap().handler_digest, digest);
}

/// An engine on which an event's handlers may run for little longer than one of them.
fn hasty() -> Engine {
    let limits = Limits { instances: 16, max_deadline_ms: 50, max_event_ms: Some(60), ..Limits::default() };
    Engine::new(limits, &Registry::new()).unwrap()
}

/// Of each event, what it is quarantined for.
fn fault_kinds(events: &[Event]) -> Vec<&str> {
    fn kind(event: &Event) -> &str {
        match &event.disposition {
            Some(Disposition::Quarantined(fault)) => &fault.kind,
            _ => "",
        }
    }
    events.iter().map(kind).collect()
}

#[tokio::test]
async fn children_share_the_time_of_their_event() {
    let engine = hasty();
    let links = [SPLIT, SPIN].map(|handle| link(&engine, handle, OnFault::Quarantine)).to_vec();
    let handled =
        Chain::new(links, RawPolicy::Keep, LogSender::new().0).run(verified(b"body")).await.unwrap();
    assert_eq!(fault_kinds(&handled.events), ["", "deadline", "budget"]);
}

#[tokio::test]
async fn links_share_the_time_of_their_event_and_each_has_its_own_policy() {
    let engine = hasty();
    let links = [OnFault::Pass, OnFault::Pass, OnFault::Reject].map(|policy| link(&engine, SPIN, policy));
    let rejected =
        Chain::new(links.to_vec(), RawPolicy::Keep, LogSender::new().0).run(verified(b"body")).await;
    let NotHandled::Rejected(rejected) = rejected.unwrap_err() else { panic!("not for memory") };
    assert_eq!(rejected.fault.kind(), FaultKind::Budget);
    // The next event has all of it again, in a replay too.
    let chain =
        Chain::new(links[..1].to_vec(), RawPolicy::Keep, LogSender::new().0).starting_at(None).unwrap();
    for _ in 0..2 {
        let handled = chain.run(verified(b"body")).await.unwrap();
        assert_eq!(
            (&*handled.events[0].handlers[0].outcome, &handled.events[0].disposition),
            ("fault", &None)
        );
    }
}

#[tokio::test]
async fn a_trial_has_its_own_time_and_costs_the_event_none() {
    let engine = hasty();
    let comparison = Arc::new(Comparison::new("guest".parse().unwrap(), 7));
    let spinning = version(&engine, 2, SPIN);
    let share = Share::try_from(100.0).unwrap();
    let digest = spinning.id().digest;
    let spec = rollout::Trial { id: 7, kind: TrialKind::Shadow, version: 2, digest, share };
    let trial = Some(Trial::new(spec, spinning, Arc::default(), Arc::clone(&comparison)));
    let split = link(&engine, SPLIT, OnFault::Quarantine);
    let shadowed = BoundHandler { trial, ..link(&engine, PASS, OnFault::Quarantine) };
    let chain = Chain::new(vec![split, shadowed], RawPolicy::Keep, LogSender::new().0);
    let handled = chain.run(verified(b"body")).await.unwrap();
    assert_eq!(fault_kinds(&handled.events), ["", "", ""]);
    // On the second child the trial's time was over, which says nothing of the trial.
    assert_eq!(comparison.report().tally.events, 1);
}

#[tokio::test]
async fn a_decoded_body_says_whether_it_is_still_what_was_signed() {
    let encoded = || Verified { raw: Some(Bytes::from_static(b"gzip of it")), ..verified(b"decoded") };
    for (handlers, policy, is_decoded) in [
        (&[][..], RawPolicy::Keep, true),
        (&[PASS][..], RawPolicy::Keep, true),
        (&[CHANGE][..], RawPolicy::Keep, false),
        (&[][..], RawPolicy::Drop, false),
    ] {
        let handled = chain(handlers, OnFault::Quarantine, policy).run(encoded()).await.unwrap();
        let event = &handled.events[0];
        assert!(event.payload.is_some());
        assert_eq!(event.payload_is_raw_decoded, is_decoded, "{handlers:?}");
    }
    let handled = chain(&[], OnFault::Quarantine, RawPolicy::Keep).run(verified(b"plain")).await.unwrap();
    assert!(!handled.events[0].payload_is_raw_decoded, "the raw bytes are the payload");
}
