//! What forwarding counts. Labels are bounded by the configuration: destinations, lanes, shards, outcomes.

use floodgate_event::Lane;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, exponential_buckets,
};

use super::waiting::{HeldGauge, WaitingGauges};

/// Forwarding's metrics; clones share them.
#[derive(Clone)]
pub struct ForwardMetrics {
    pub(crate) attempts: IntCounterVec,
    pub(crate) duration: HistogramVec,
    pub(crate) dead: IntCounterVec,
    pub(crate) discarded: IntCounterVec,
    pub(crate) waiting: WaitingGauges,
    pub(crate) held: HeldGauge,
    cursor: IntGaugeVec,
    pub(crate) unmatched: IntCounterVec,
    to_match: IntGaugeVec,
    pub(crate) undecodable: IntCounterVec,
    pub(crate) journal_append: Histogram,
    pub(crate) journal_records: Histogram,
}

impl ForwardMetrics {
    /// Registers them. Once per registry: shards share them.
    ///
    /// # Errors
    /// If the registry has metrics of the same names.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            attempts: counters(
                "delivery_attempts_total",
                "Attempts, by how they ended.",
                &["destination", "outcome"],
            )?,
            duration: HistogramVec::new(
                HistogramOpts::new("floodgate_delivery_duration_seconds", "How long attempts took.")
                    .buckets(exponential_buckets(0.001, 2.5, 13)?),
                &["destination"],
            )?,
            dead: counters(
                "deliveries_dead_total",
                "Deliveries that were given up after their last attempt or an answer of 410.",
                &["destination"],
            )?,
            discarded: counters(
                "deliveries_discarded_total",
                "Deliveries that were given up because their destination was removed, or more were held than may be.",
                &["destination", "reason"],
            )?,
            waiting: WaitingGauges::new()?,
            held: HeldGauge::new()?,
            cursor: gauges("forward_cursor", "Log sequence that was routed last.", &["lane", "shard"])?,
            unmatched: counters(
                "events_unmatched_total",
                "Stored events that no destination subscribed to when they were routed.",
                &["source"],
            )?,
            to_match: gauges(
                "blocks_to_match",
                "Blocks of the log behind the journal's cursor: stored, and not routed yet.",
                &["lane", "shard"],
            )?,
            undecodable: counters(
                "forward_undecodable_total",
                "Messages of the log or the journal that could not be decoded and were passed over.",
                &["stream"],
            )?,
            journal_append: Histogram::with_opts(
                HistogramOpts::new(
                    "floodgate_journal_append_duration_seconds",
                    "From sending a block to its ack.",
                )
                .buckets(exponential_buckets(0.0005, 2.0, 14)?),
            )?,
            journal_records: Histogram::with_opts(
                HistogramOpts::new("floodgate_journal_block_records", "Records of a journal block.")
                    .buckets(exponential_buckets(1.0, 4.0, 8)?),
            )?,
        };
        metrics.add_to(registry)?;
        Ok(metrics)
    }

    /// The journal has this lane routed up to and with a sequence of the log.
    pub(crate) fn routed_through(&self, shard: u32, lane: Lane, sequence: u64) {
        set(&self.cursor, shard, lane, sequence);
    }

    /// Blocks of the log that this lane has not routed yet.
    pub(crate) fn to_match(&self, shard: u32, lane: Lane, blocks: u64) {
        set(&self.to_match, shard, lane, blocks);
    }

    fn add_to(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.attempts.clone()))?;
        registry.register(Box::new(self.duration.clone()))?;
        registry.register(Box::new(self.dead.clone()))?;
        registry.register(Box::new(self.discarded.clone()))?;
        self.waiting.add_to(registry)?;
        self.held.add_to(registry)?;
        registry.register(Box::new(self.cursor.clone()))?;
        registry.register(Box::new(self.unmatched.clone()))?;
        registry.register(Box::new(self.to_match.clone()))?;
        registry.register(Box::new(self.undecodable.clone()))?;
        registry.register(Box::new(self.journal_append.clone()))?;
        registry.register(Box::new(self.journal_records.clone()))
    }
}

fn set(gauge: &IntGaugeVec, shard: u32, lane: Lane, value: u64) {
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    gauge.with_label_values(&[lane.as_str(), &shard.to_string()]).set(value);
}

fn counters(name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
    IntCounterVec::new(Opts::new(format!("floodgate_{name}"), help), labels)
}

pub(super) fn gauges(name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
    IntGaugeVec::new(Opts::new(format!("floodgate_{name}"), help), labels)
}
