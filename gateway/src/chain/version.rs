//! A version of a handler in use: its code, and how it does.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use floodgate_event::report::HandlerReport;
use floodgate_sandbox::{
    Context, Engine, Fault, FaultKind, Handler, Input, Line, Outcome, RunLimits, VersionMetrics,
};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use prometheus::IntGauge;

use super::breaker::{Breaker, Threshold};
use super::version_id::VersionId;
use super::warnings::FaultLog;

/// How many lines a handler version may log per second, over all events of this process. Half as many may
/// come at once.
const LINES_PER_SECOND: NonZeroU32 = NonZeroU32::new(200).unwrap();

/// How often the log says how many lines were left out.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// A version of a handler in use, shared by all sources that bind it.
#[derive(Debug)]
pub struct Version {
    id: VersionId,
    handler: Handler,
    metrics: VersionMetrics,
    breaker: Breaker,
    lines: DefaultDirectRateLimiter,
    fault_log: FaultLog,
}

/// The versions in use in this process, each once. All sources that bind a version share its metrics and its
/// breaker.
#[derive(Clone, Debug)]
pub struct Versions {
    engine: Engine,
    used: Arc<Mutex<HashMap<VersionId, Weak<Version>>>>,
}

impl Versions {
    /// Begins without versions in use, on an engine.
    pub fn new(engine: Engine) -> Self {
        Self { engine, used: Arc::default() }
    }

    /// Returns the engine that all versions run on.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Reports, again and again, how many lines were left out of the log. Runs for ever.
    pub(crate) async fn report_suppressed_forever(self) {
        loop {
            tokio::time::sleep(REPORT_EVERY).await;
            self.report_suppressed();
        }
    }

    /// Reports how many lines were left out of the log.
    pub(crate) fn report_suppressed(&self) {
        let used: Vec<_> = {
            let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            used.values().filter_map(Weak::upgrade).collect()
        };
        used.iter().for_each(|version| version.fault_log.report_suppressed(&version.id));
    }

    /// Returns true if any version is in use.
    pub(crate) fn any(&self) -> bool {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.values().any(|version| version.strong_count() > 0)
    }

    /// Returns the version with this id. If it is not in use, makes it from `handler`. A version is dropped
    /// with its last user.
    pub fn share(&self, id: &VersionId, handler: Handler) -> Arc<Version> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, version| version.strong_count() > 0);
        if let Some(version) = used.get(id).and_then(Weak::upgrade) {
            return version;
        }
        let version = Arc::new(Version::new(&self.engine, id.clone(), handler));
        used.insert(id.clone(), Arc::downgrade(&version));
        version
    }
}

impl Drop for Version {
    fn drop(&mut self) {
        self.fault_log.report_suppressed(&self.id);
    }
}

/// Counts a run for as long as it is under way. A request that its sender gives up drops this as well.
struct InFlight<'a>(&'a IntGauge);

impl<'a> InFlight<'a> {
    fn begin(gauge: &'a IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// One run of a version.
pub(crate) struct VersionRun {
    pub(crate) result: Result<Outcome, Fault>,
    /// The lines that it logged, as far as the rate allows.
    pub(crate) log: Vec<Line>,
    /// How long it ran.
    pub(crate) duration: Duration,
}

impl Version {
    /// Makes a version without any history.
    pub(crate) fn new(engine: &Engine, id: VersionId, handler: Handler) -> Self {
        let metrics = engine.metrics().version(&id.name, id.version);
        if let Some(took) = handler.compile_time() {
            metrics.compiled(took);
        }
        let quota = Quota::per_second(LINES_PER_SECOND);
        Self {
            metrics,
            breaker: Breaker::new(Threshold::of(engine.limits())),
            lines: RateLimiter::direct(quota),
            fault_log: FaultLog::default(),
            id,
            handler,
        }
    }

    pub(crate) fn id(&self) -> &VersionId {
        &self.id
    }

    /// Runs the version over an event, unless its breaker is open. `permit` refuses outcomes that the event
    /// cannot have.
    pub(crate) async fn run(
        &self,
        event: Input<'_>,
        limits: RunLimits,
        context: Context,
        permit: impl FnOnce(Outcome) -> Result<Outcome, Fault>,
    ) -> VersionRun {
        if !self.breaker.admits() {
            return self.skip();
        }
        let running = InFlight::begin(&self.metrics.running);
        let run = self.handler.run_within(limits, event, context).await;
        drop(running);
        let result = run.result.and_then(permit);
        self.metrics.ran(result.as_ref().ok(), run.duration);
        self.metrics.had_memory(run.memory_bytes);
        let opened = self.breaker.record(result.as_ref().is_err_and(|fault| fault.kind().is_misbehaviour()));
        self.metrics.breaker_open.set(self.breaker.is_open().into());
        if opened {
            self.fault_log.opened(&self.id);
        }
        VersionRun { result, log: self.within_rate(run.log), duration: run.duration }
    }

    /// How long all handlers together may run for one event.
    pub(crate) fn event_time(&self) -> Duration {
        self.handler.engine().limits().event_time()
    }

    fn skip(&self) -> VersionRun {
        self.skip_for(Fault::new(FaultKind::Breaker, "not run: it failed on every event before this one"))
    }

    /// Makes the result of a run that did not take place.
    pub(crate) fn skip_for(&self, fault: Fault) -> VersionRun {
        self.metrics.ran(None, Duration::ZERO);
        VersionRun { result: Err(fault), log: Vec::new(), duration: Duration::ZERO }
    }

    /// Counts a run that failed.
    pub(crate) fn failed(&self, fault: &Fault) {
        self.metrics.failed(fault.kind());
    }

    fn within_rate(&self, mut lines: Vec<Line>) -> Vec<Line> {
        let all = lines.len();
        lines.retain(|_| self.lines.check().is_ok());
        self.left_out(all - lines.len());
        lines
    }

    /// Counts lines that were dropped.
    pub(crate) fn left_out(&self, lines: usize) {
        self.metrics.lines_left_out.inc_by(lines as u64);
        self.fault_log.left_out(lines as u64);
    }

    /// Logs a failure on an event.
    pub(crate) fn warn(&self, source: &str, event: &str, fault: &Fault) {
        self.fault_log.failed(&self.id, source, event, fault);
    }

    /// What a gateway reports of it.
    pub fn report(&self) -> HandlerReport {
        HandlerReport {
            name: self.id.name.clone(),
            version: self.id.version,
            runs: self.metrics.run_counts(),
            faults: self.metrics.fault_counts(),
        }
    }
}
