//! The gateway's way: a chain of one handler.

use floodgate_event::snapshot::{Binding, Digest256};
use floodgate_event::source::{OnFault, RawPolicy};
use floodgate_gateway::handle::{Chain, Engine, Limits};
use floodgate_gateway::stage::Verified;
use prometheus::Registry;

use crate::event;

/// A chain in an engine as gateways have it.
pub(crate) struct Ours(Chain);

impl Ours {
    pub(crate) fn load(component: &[u8]) -> Self {
        let engine = Engine::new(Limits::default(), &Registry::new()).expect("an engine");
        let handler = engine.load(component).expect("a handler");
        let binding = Binding {
            name: "guest".parse().expect("a name"),
            version: 1,
            digest: Digest256::of(component),
            on_fault: OnFault::Reject,
            params: serde_json::from_str(event::PARAMS).expect("an object"),
        };
        Self(Chain::new(&engine, vec![(binding, handler)], RawPolicy::Keep))
    }

    pub(crate) async fn run_all(&self, events: Vec<Verified>) {
        for event in events {
            drop(self.0.run(event).await.expect("no fault"));
        }
    }
}
