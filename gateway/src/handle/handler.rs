//! A compiled handler and one run of it.

mod check;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use wasmtime::Store;
use wasmtime::component::Component;

use super::contract::{self, Breach, HandlerPre, Input, OutcomeResult};
use super::grant::Granted;
use super::guest::Guest;
use super::inspect::Refused;
use super::log::Line;
use super::meter::{self, Meter};
use super::wasi::Moment;
use super::{Engine, Fault, FaultKind, Outcome};

/// One compiled version of a handler. Clones share the code.
#[derive(Clone)]
pub struct Handler {
    engine: Engine,
    pre: Arc<HandlerPre<Guest>>,
    /// What this handler may use of the engine's slots.
    share: Arc<Semaphore>,
}

/// One run of a handler over one event.
#[derive(Debug)]
pub struct Run {
    /// What it decided, or how it failed.
    pub result: Result<Outcome, Fault>,
    /// What it logged, within bounds.
    pub log: Vec<Line>,
    /// How long it ran.
    pub duration: Duration,
}

impl Handler {
    /// Compiles what was looked over before.
    pub(crate) fn compile(engine: Engine, bytes: &[u8]) -> Result<Self, LoadError> {
        let component = Component::from_binary(engine.wasm(), bytes).map_err(LoadError::Compile)?;
        contract::check_imports(engine.wasm(), &component)?;
        let pre = engine.linker().instantiate_pre(&component).map_err(Breach::Type)?;
        contract::check_export(engine.wasm(), &component)?;
        let pre = HandlerPre::new(pre).map_err(Breach::Type)?;
        let share = Semaphore::new(engine.limits().share());
        Ok(Self { engine, pre: Arc::new(pre), share: Arc::new(share) })
    }

    /// Runs the handler over one event, on an instance of its own, once one of the engine's slots is free.
    pub async fn run(&self, event: Input<'_>, granted: &Arc<Granted>) -> Run {
        // Neither semaphore is ever closed. The wait is bounded by what the gateway takes in at once: each run before
        // this one ends at its deadline.
        let _share = self.share.acquire().await;
        let _slot = self.engine.slots().acquire().await;
        let limits = self.engine.limits();
        let meter = Meter::new(limits.deadline());
        let moment = Moment::of(&event, granted);
        let mut store = self.store(moment, granted, &meter);
        let called = meter::metered(&meter, self.call(&mut store, event)).await;
        let refused = store.data_mut().memory().refused();
        let log = store.into_data().into_log();
        let result = match called {
            Ok(Ok(Ok(outcome))) => Outcome::check(outcome),
            Ok(Ok(Err(message))) => Err(Fault::new(FaultKind::Error, &message)),
            Ok(Err(Failed::Call(error))) => Err(Fault::from_call(&error, refused, log.last_error())),
            Ok(Err(Failed::Start(error))) => Err(Fault::from_start(&error, refused, log.last_error())),
            Err(meter::Overslept) => {
                Err(Fault::new(FaultKind::Deadline, "it waited until its time was over"))
            }
        };
        Run { result, log: log.into_lines(), duration: meter.ran() }
    }

    async fn call(&self, store: &mut Store<Guest>, event: Input<'_>) -> Result<Answer, Failed> {
        let instance = self.pre.instantiate_async(&mut *store).await.map_err(Failed::Start)?;
        instance.call_handle(store, event).await.map_err(Failed::Call)
    }

    fn store(&self, moment: Moment, granted: &Arc<Granted>, meter: &Arc<Meter>) -> Store<Guest> {
        let limits = self.engine.limits();
        let guest = Guest::new(moment, limits.memory_bytes, Arc::clone(granted));
        let mut store = Store::new(self.engine.wasm(), guest);
        store.limiter(|guest| guest.memory());
        store.set_hostcall_fuel(limits.output_bytes);
        meter::watch(&mut store, Arc::clone(meter));
        store
    }
}

impl std::fmt::Debug for Handler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handler").finish_non_exhaustive()
    }
}

/// What `handle` returns.
type Answer = Result<OutcomeResult, String>;

/// Where a run ended that did not return.
enum Failed {
    Start(wasmtime::Error),
    Call(wasmtime::Error),
}

/// Why bytes are not a handler. Always the fault of whoever made them.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// They are not even compiled.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// They do not validate or compile, or need more than the limits allow.
    #[error("the component does not compile")]
    Compile(#[source] wasmtime::Error),
    /// They compile, and are no handler.
    #[error(transparent)]
    Breach(#[from] Breach),
}
