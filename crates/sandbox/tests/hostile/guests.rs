//! Running guests: each on an engine of its own, with a neighbour that must answer afterwards.

use std::sync::Arc;

use bytes::Bytes;
use floodgate_event::proto::{Event, Header, Request};
use floodgate_sandbox::{
    Context, Engine, Fault, FaultKind, Handler, Input, InputLane, Limits, LoadError, Outcome, Run,
};

pub(crate) use floodgate_sandbox_guests::{Guest, PASS, SPIN, WORLD, component, handling};
use prometheus::Registry;

pub(crate) fn engine() -> Engine {
    let limits = Limits { instances: 16, ..Limits::default() };
    Engine::new(limits, &Registry::new()).unwrap()
}

/// Loads and runs a guest.
pub(crate) trait Try {
    fn load(&self, engine: &Engine) -> Result<Handler, LoadError>;

    /// Runs it over one event; a neighbour on the same engine must answer afterwards.
    async fn run(&self) -> Run;

    /// Runs the handler, which must fail, and returns its fault.
    async fn fault(&self) -> Fault;

    /// In which way it fails.
    async fn kind(&self) -> FaultKind;
}

impl Try for Guest<'_> {
    fn load(&self, engine: &Engine) -> Result<Handler, LoadError> {
        engine.load(&self.component())
    }

    async fn run(&self) -> Run {
        let engine = engine();
        let run = self.load(&engine).unwrap().run(input(), &context()).await;
        unharmed(&engine).await;
        run
    }

    async fn fault(&self) -> Fault {
        self.run().await.result.unwrap_err()
    }

    async fn kind(&self) -> FaultKind {
        self.fault().await.kind()
    }
}

/// Another handler on this engine answers as ever.
pub(crate) async fn unharmed(engine: &Engine) {
    assert_eq!(load(engine, PASS).run(input(), &Default::default()).await.result, Ok(Outcome::Pass));
}

pub(crate) fn load(engine: &Engine, handle: &str) -> Handler {
    handling(handle).load(engine).unwrap()
}

pub(crate) fn input() -> Input<'static> {
    Input {
        id: "evt_00000000000000000000000001",
        tenant: "default",
        source: "test",
        type_: "push",
        provider_id: "",
        region: "eu",
        lane: InputLane::Standard,
        body: b"{}",
        received_at: 1,
        params: "{}",
    }
}

/// The rest of that event.
pub(crate) fn context() -> Context {
    let header = Header { name: "x-a".into(), value: Bytes::from_static(b"1") };
    let request = Request { method: "POST".into(), headers: vec![header], ..Request::default() };
    let event = Event { id: vec![1; 16], received_at_us: 1, request: Some(request), ..Event::default() };
    Context::new(Arc::new(event), Arc::default())
}

/// Bytes of memory that this process holds.
pub(crate) fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}
