//! What is counted of handlers.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use super::fault::FaultKind;

/// Seconds: a Rust handler takes microseconds, a script a millisecond, and the default deadline is 50 ms.
const BUCKETS: [f64; 12] =
    [0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.02, 0.05, 0.5];

/// Counters of all handlers of the process. Handlers are configured, so their names are few.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    runs: IntCounterVec,
    duration: HistogramVec,
    faults: IntCounterVec,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let runs = Opts::new("floodgate_handler_runs_total", "Runs of a handler over an event, by outcome.");
        let duration = HistogramOpts::new(
            "floodgate_handler_duration_seconds",
            "Time that a handler ran for an event, without waiting for a processor.",
        );
        let faults = Opts::new("floodgate_handler_faults_total", "Failures of a handler, by kind.");
        let metrics = Self {
            runs: IntCounterVec::new(runs, &["handler", "outcome"])?,
            duration: HistogramVec::new(duration.buckets(BUCKETS.into()), &["handler"])?,
            faults: IntCounterVec::new(faults, &["handler", "kind"])?,
        };
        registry.register(Box::new(metrics.runs.clone()))?;
        registry.register(Box::new(metrics.duration.clone()))?;
        registry.register(Box::new(metrics.faults.clone()))?;
        Ok(metrics)
    }

    pub(crate) fn ran(&self, handler: &str, outcome: &str, duration: Duration) {
        self.runs.with_label_values(&[handler, outcome]).inc();
        self.duration.with_label_values(&[handler]).observe(duration.as_secs_f64());
    }

    pub(crate) fn failed(&self, handler: &str, kind: FaultKind) {
        self.faults.with_label_values(&[handler, kind.as_str()]).inc();
    }
}
