//! A compiled handler, and its runs.

mod check;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use floodgate_event::source::HandlerLimits;
use tokio::sync::{Semaphore, SemaphorePermit};
use wasmtime::Store;
use wasmtime::component::Component;

use crate::bindings::{Answer, Input};
use crate::checked::Checked;
use crate::context::Context;
use crate::contract::ContractError;
use crate::engine::Engine;
use crate::fault::{Fault, FaultKind};
use crate::guest::{self, Guest};
use crate::inspect::Refused;
use crate::limits::{OutOfRange, RunLimits};
use crate::log::Line;
use crate::meter::{self, Meter};
use crate::outcome::Outcome;

/// One compiled version of a handler. Clones share the code.
#[derive(Clone)]
pub struct Handler {
    engine: Engine,
    component: Arc<Checked>,
    /// How many of the engine's slots this handler may use.
    share: Arc<Semaphore>,
    limits: RunLimits,
    compile_time: Option<Duration>,
    /// How many of the next runs are measured from their beginning, because an earlier one was unclear.
    measured: Arc<AtomicU32>,
}

/// The number of such runs. A handler that once ran for long without a pause is likely to do it again.
const MEASURED_RUNS: u32 = 100;

/// One run of a handler over one event.
#[derive(Debug)]
pub struct Run {
    /// What the handler decided, or how it failed.
    pub result: Result<Outcome, Fault>,
    /// The lines that the handler logged: at most 32, and one that says how many were left out.
    pub log: Vec<Line>,
    /// How long the handler ran, in processor time.
    pub duration: Duration,
    /// The bytes of linear memory at its end. Memory never shrinks, so this is the most that it had.
    pub memory_bytes: usize,
}

impl Handler {
    /// Checks that a component is a handler. It runs within the default limits until it is
    /// [bound](Self::bind).
    pub(crate) fn new(engine: Engine, component: &Component) -> Result<Self, LoadError> {
        let component = Arc::new(Checked::new(engine.linker(), component)?);
        let share = Arc::new(Semaphore::new(engine.limits().share()));
        let limits = engine.limits().resolve(&HandlerLimits::default()).map_err(LoadError::Limits)?;
        let measured = Arc::default();
        Ok(Self { engine, component, share, limits, compile_time: None, measured })
    }

    pub(crate) fn compiled_in(self, time: Duration) -> Self {
        Self { compile_time: Some(time), ..self }
    }

    /// Returns the engine that the handler runs on.
    #[inline]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Returns how long the compilation took; `None` if the code came from the cache.
    pub fn compile_time(&self) -> Option<Duration> {
        self.compile_time
    }

    /// Returns how many instances of this handler run now.
    pub fn instances_in_use(&self) -> usize {
        self.engine.limits().share().saturating_sub(self.share.available_permits())
    }

    /// Returns the handler within the limits that a binding asks for. Clones share the code.
    ///
    /// # Errors
    /// If the binding asks for more than the gateway gives.
    pub fn bind(&self, asked: &HandlerLimits) -> Result<Self, OutOfRange> {
        Ok(Self { limits: self.engine.limits().resolve(asked)?, ..self.clone() })
    }

    /// Runs the handler over one event, on an instance of its own, once one of the engine's slots is free.
    pub async fn run(&self, event: Input<'_>, context: &Context) -> Run {
        self.run_within(self.limits, event, context.clone()).await
    }

    /// Runs the handler as [`Self::run`] does, within other limits.
    pub async fn run_within(&self, limits: RunLimits, event: Input<'_>, context: Context) -> Run {
        // The wait is bounded: the gateway accepts a bounded number of events, and each run before this one
        // ends at its deadline.
        let _share = enter(&self.share).await;
        let _slot = enter(self.engine.slots()).await;
        let meter = Meter::new(limits.deadline(), self.takes_measured());
        let mut store = self.store(limits, context, &meter);
        // On the heap, because it is large and would otherwise be part of the future of every caller, up to
        // the request's.
        let call = Box::pin(self.call(&mut store, event));
        let called = meter::metered(&meter, call).await;
        if meter.is_unclear() {
            self.measured.store(MEASURED_RUNS, Ordering::Relaxed);
        }
        let guest = store.into_data();
        let (refused, memory_bytes) = (guest.memory().refused(), guest.memory().taken());
        let log = guest.into_log();
        let result = match called {
            Ok(Ok(Ok(outcome))) => Outcome::check(outcome),
            Ok(Ok(Err(message))) => Err(Fault::new(FaultKind::Error, &message)),
            Ok(Err(Failed::Call(error))) => Err(Fault::from_call(&error, refused, log.last_error())),
            Ok(Err(Failed::Start(error))) => Err(Fault::from_start(&error, refused, log.last_error())),
            Err(meter::TimedOut) => Err(Fault::timed_out()),
        };
        let result = result.map_err(|fault| limits.blame(fault));
        Run { result, log: log.into_lines(), duration: meter.ran(), memory_bytes }
    }

    fn takes_measured(&self) -> bool {
        // The load comes first: a write to memory that all runs share would cost each of them more.
        self.measured.load(Ordering::Relaxed) > 0
            && self
                .measured
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok()
    }

    async fn call(&self, store: &mut Store<Guest>, event: Input<'_>) -> Result<Answer, Failed> {
        let handle = self.component.start(store).await.map_err(Failed::Start)?;
        handle.call(store, event).await.map_err(Failed::Call)
    }

    fn store(&self, limits: RunLimits, context: Context, meter: &Arc<Meter>) -> Store<Guest> {
        let guest = Guest::new(limits.memory_bytes(), context, Arc::clone(meter));
        let mut store = Store::new(self.engine.wasm(), guest);
        store.limiter(|guest| guest.memory_mut());
        store.set_hostcall_fuel(limits.output_bytes());
        store.set_max_component_handles(guest::MAX_HANDLES);
        meter::watch(&mut store, Guest::meter);
        store
    }
}

impl std::fmt::Debug for Handler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handler").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Takes a permit, without waiting if there is one. The semaphores are never closed.
async fn enter(semaphore: &Semaphore) -> Option<SemaphorePermit<'_>> {
    match semaphore.try_acquire() {
        Ok(permit) => Some(permit),
        Err(_) => semaphore.acquire().await.ok(),
    }
}

/// The step in which a run failed without a result.
enum Failed {
    Start(wasmtime::Error),
    Call(wasmtime::Error),
}

/// Why a component is not a handler. The component's fault, except for [`LoadError::Limits`].
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The component is refused without being compiled.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The component does not validate or compile, or needs more than the limits allow.
    #[error("the component does not compile")]
    Compile(#[source] wasmtime::Error),
    /// The component compiles, and does not fit the world of handlers.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// The gateway's maxima are less than the least that a handler needs.
    #[error(transparent)]
    Limits(OutOfRange),
}
