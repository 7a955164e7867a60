//! The gateway's way: a chain of one handler.

use std::sync::Arc;

use floodgate_event::Digest256;
use floodgate_event::source::{HandlerLimits, OnFault, RawPolicy};
use floodgate_gateway::chain::{BoundHandler, Chain, LogSender, VersionId, Versions};
use floodgate_gateway::stage::{Handled, Verified};
use floodgate_sandbox::{Engine, Limits};
use prometheus::Registry;

use crate::event;

/// A chain in an engine as gateways have it.
pub(crate) struct Ours(Chain);

impl Ours {
    pub(crate) fn load(component: &[u8]) -> Self {
        let engine = Engine::new(Limits::default(), &Registry::new()).expect("an engine");
        let handler = engine.load(component).expect("a handler");
        let id = VersionId {
            name: "guest".parse().expect("a name"),
            version: 1,
            digest: Digest256::of(component),
        };
        // The default deadline would be missed whenever the machine has something better to do.
        let asked = HandlerLimits { deadline_ms: Some(1_000), ..HandlerLimits::default() };
        let limits = engine.resolve(&asked).expect("within the maxima");
        let handler = BoundHandler {
            version: Versions::new(engine).share(&id, handler),
            params: event::PARAMS.to_owned(),
            granted: Arc::default(),
            limits,
            on_fault: OnFault::Reject,
            trial: None,
        };
        Self(Chain::new(vec![handler], RawPolicy::Keep, LogSender::new().0))
    }

    pub(crate) async fn run_all(&self, events: Vec<Verified>) -> Vec<Handled> {
        let mut handled = Vec::with_capacity(events.len());
        for event in events {
            handled.push(self.0.run(event).await.expect("no fault"));
        }
        handled
    }
}
