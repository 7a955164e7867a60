//! The metrics of handlers, by version.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use floodgate_event::Name;
use prometheus::core::Collector;
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use crate::fault::FaultKind;
use crate::outcome::Outcome;

/// Buckets in seconds: a Rust handler takes microseconds, a script a millisecond, and the default deadline is
/// 50 ms.
const BUCKETS: [f64; 12] =
    [0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.02, 0.05, 0.5];
/// The outcome of a run that failed.
pub const FAULT: &str = "fault";

/// The metrics of all handlers of the process. Handlers, versions and counters come from the configuration,
/// so there are few. The metrics of a version are removed with it.
#[derive(Clone, Debug)]
pub struct Metrics {
    runs: IntCounterVec,
    faults: IntCounterVec,
    duration: HistogramVec,
    running: IntGaugeVec,
    memory_peak: IntGaugeVec,
    compile: GaugeVec,
    breaker_open: IntGaugeVec,
    lines_left_out: IntCounterVec,
    counters: IntCounterVec,
    /// How many users the metrics of a version have. A handler that was deleted and created again has the
    /// same labels.
    users: Arc<Mutex<HashMap<(Name, u32), usize>>>,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let version = &["handler", "version"];
        let metrics = Self {
            runs: IntCounterVec::new(
                opts("runs_total", "Runs of a handler over an event, by outcome."),
                &["handler", "version", "outcome"],
            )?,
            faults: IntCounterVec::new(
                opts("faults_total", "Failures of a handler, by kind."),
                &["handler", "version", "kind"],
            )?,
            duration: HistogramVec::new(
                HistogramOpts::new(
                    "floodgate_handler_duration_seconds",
                    "Time that a handler ran for an event, without waiting for a processor.",
                )
                .buckets(BUCKETS.into()),
                version,
            )?,
            running: IntGaugeVec::new(
                opts("running", "Events that a handler runs on, or that wait for an instance of it."),
                version,
            )?,
            memory_peak: IntGaugeVec::new(
                opts("memory_peak_bytes", "The most linear memory that an instance of the handler had."),
                version,
            )?,
            compile: GaugeVec::new(
                opts(
                    "compile_seconds",
                    "How long the handler took to compile; absent if its code was in the cache.",
                ),
                version,
            )?,
            breaker_open: IntGaugeVec::new(
                opts("breaker_open", "Whether the handler is not run because it kept failing."),
                version,
            )?,
            lines_left_out: IntCounterVec::new(
                opts("log_lines_left_out_total", "Lines beyond what a handler may log in a second."),
                version,
            )?,
            counters: IntCounterVec::new(
                opts("counter_total", "What handlers count themselves."),
                &["handler", "counter"],
            )?,
            users: Arc::default(),
        };
        for collector in metrics.collectors() {
            registry.register(collector)?;
        }
        Ok(metrics)
    }

    fn collectors(&self) -> [Box<dyn Collector>; 9] {
        [
            Box::new(self.runs.clone()),
            Box::new(self.faults.clone()),
            Box::new(self.duration.clone()),
            Box::new(self.running.clone()),
            Box::new(self.memory_peak.clone()),
            Box::new(self.compile.clone()),
            Box::new(self.breaker_open.clone()),
            Box::new(self.lines_left_out.clone()),
            Box::new(self.counters.clone()),
        ]
    }

    /// The metrics of one version, looked up once.
    pub fn version(&self, handler: &Name, version: u32) -> VersionMetrics {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        *users.entry((handler.clone(), version)).or_default() += 1;
        let number = version.to_string();
        let labels = [handler.as_str(), &*number];
        let run = |outcome| self.runs.with_label_values(&[handler.as_str(), &*number, outcome]);
        VersionMetrics {
            runs: Outcome::NAMES.map(run),
            failed: run(FAULT),
            faults: FaultKind::ALL
                .map(|kind| self.faults.with_label_values(&[handler.as_str(), &*number, kind.as_str()])),
            duration: self.duration.with_label_values(&labels),
            running: self.running.with_label_values(&labels),
            memory_peak: self.memory_peak.with_label_values(&labels),
            breaker_open: self.breaker_open.with_label_values(&labels),
            lines_left_out: self.lines_left_out.with_label_values(&labels),
            all: self.clone(),
            handler: handler.clone(),
            version,
            number,
        }
    }

    /// A counter that a binding grants. It stays until the process ends, because a counter must not go back.
    pub(crate) fn counter(&self, handler: &Name, counter: &Name) -> IntCounter {
        self.counters.with_label_values(&[handler.as_str(), counter.as_str()])
    }
}

/// The metrics of one version. Dropping the last user removes them.
#[derive(Debug)]
pub struct VersionMetrics {
    runs: [IntCounter; Outcome::NAMES.len()],
    failed: IntCounter,
    faults: [IntCounter; FaultKind::ALL.len()],
    duration: Histogram,
    /// How many runs of this version are under way.
    pub running: IntGauge,
    memory_peak: IntGauge,
    /// 1 while the version is not run because it failed on every event.
    pub breaker_open: IntGauge,
    /// Log lines that were dropped.
    pub lines_left_out: IntCounter,
    all: Metrics,
    handler: Name,
    version: u32,
    number: String,
}

impl VersionMetrics {
    /// Counts a run by its outcome, or as failed if it has none.
    #[inline]
    pub fn ran(&self, outcome: Option<&Outcome>, duration: Duration) {
        outcome.map_or(&self.failed, |outcome| &self.runs[outcome.index()]).inc();
        self.duration.observe(duration.as_secs_f64());
    }

    /// Counts a run that failed.
    pub fn failed(&self, kind: FaultKind) {
        self.faults[kind as usize].inc();
    }

    /// Records how much memory a run had.
    #[inline]
    pub fn had_memory(&self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        // If two runs end at once, the smaller peak may be kept. The next larger one corrects it.
        if bytes > self.memory_peak.get() {
            self.memory_peak.set(bytes);
        }
    }

    /// Records how long it took to get the code.
    pub fn compiled(&self, took: Duration) {
        self.all.compile.with_label_values(&[self.handler.as_str(), &*self.number]).set(took.as_secs_f64());
    }

    /// Runs by outcome, without the outcomes that never occurred.
    pub fn run_counts(&self) -> BTreeMap<String, u64> {
        let named = Outcome::NAMES.into_iter().zip(&self.runs).chain([(FAULT, &self.failed)]);
        counts(named)
    }

    /// Failures by kind, without the kinds that never occurred.
    pub fn fault_counts(&self) -> BTreeMap<String, u64> {
        counts(FaultKind::ALL.map(FaultKind::as_str).into_iter().zip(&self.faults))
    }
}

impl Drop for VersionMetrics {
    fn drop(&mut self) {
        let Self { all, handler, version, number, .. } = self;
        let mut users = all.users.lock().unwrap_or_else(PoisonError::into_inner);
        let left = users.get(&(handler.clone(), *version)).map_or(0, |users| users.saturating_sub(1));
        if left > 0 {
            users.insert((handler.clone(), *version), left);
            return;
        }
        users.remove(&(handler.clone(), *version));
        let labels = [handler.as_str(), number.as_str()];
        // A label that was never used has no metric to remove.
        for outcome in Outcome::NAMES.into_iter().chain([FAULT]) {
            let _ = all.runs.remove_label_values(&[handler.as_str(), number, outcome]);
        }
        for kind in FaultKind::ALL {
            let _ = all.faults.remove_label_values(&[handler.as_str(), number, kind.as_str()]);
        }
        let _ = all.duration.remove_label_values(&labels);
        let _ = all.compile.remove_label_values(&labels);
        let _ = all.lines_left_out.remove_label_values(&labels);
        for gauges in [&all.running, &all.memory_peak, &all.breaker_open] {
            let _ = gauges.remove_label_values(&labels);
        }
    }
}

fn counts<'a>(named: impl IntoIterator<Item = (&'a str, &'a IntCounter)>) -> BTreeMap<String, u64> {
    let named = named.into_iter().map(|(name, counter)| (name.to_owned(), counter.get()));
    named.filter(|(_, count)| *count > 0).collect()
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("floodgate").subsystem("handler")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metrics_of_a_version_go_with_it() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        let version = metrics.version(&"redact".parse().unwrap(), 3);
        version.ran(Some(&Outcome::Pass), Duration::from_micros(3));
        version.ran(None, Duration::from_micros(3));
        version.failed(FaultKind::Trap);
        version.compiled(Duration::from_millis(3));
        assert_eq!(version.run_counts(), [("fault".into(), 1), ("pass".into(), 1)].into());
        assert_eq!(version.fault_counts(), [("trap".into(), 1)].into());
        let made_anew = metrics.version(&"redact".parse().unwrap(), 3);
        drop(version);
        assert_eq!(made_anew.run_counts().len(), 2, "those of the one that is left stay");
        assert!(!registry.gather().is_empty());
        drop(made_anew);
        assert_eq!(registry.gather().iter().map(|family| family.get_metric().len()).sum::<usize>(), 0);
    }
}
