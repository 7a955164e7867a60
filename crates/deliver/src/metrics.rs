//! The metrics of delivering. Their labels are bounded by the configuration: destinations, sources, lanes,
//! shards and outcomes.
//!
//! Counters start at zero with the process. What is open or dead is read from the delivery index, so those
//! gauges are right after a restart too.

mod by_destination;

use floodgate_event::{Lane, ShardId};
use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, exponential_buckets,
};

use self::by_destination::{BacklogGauges, HeldGauge};

/// The metrics of delivering. Clones share them, and so do all shards of a process.
#[derive(Clone)]
pub struct DeliveryMetrics {
    pub(crate) attempts: IntCounterVec,
    pub(crate) duration: HistogramVec,
    pub(crate) dead: IntCounterVec,
    pub(crate) discarded: IntCounterVec,
    pub(crate) backlogs: BacklogGauges,
    pub(crate) held: HeldGauge,
    cursor: IntGaugeVec,
    pub(crate) unmatched: IntCounterVec,
    to_match: IntGaugeVec,
    pub(crate) undecodable: IntCounterVec,
    pub(crate) journal_append: Histogram,
    pub(crate) journal_records: Histogram,
}

impl DeliveryMetrics {
    /// Creates the metrics and registers them, once for each registry.
    ///
    /// # Errors
    /// If the registry has metrics of the same names.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let new = Registrar { registry };
        Ok(Self {
            attempts: new.counters(
                "delivery_attempts_total",
                "Attempts, by how they ended.",
                &["destination", "outcome"],
            )?,
            duration: new.add(HistogramVec::new(
                HistogramOpts::new("floodgate_delivery_duration_seconds", "How long attempts took.")
                    .buckets(exponential_buckets(0.001, 2.5, 13)?),
                &["destination"],
            )?)?,
            dead: new.counters(
                "deliveries_dead_total",
                "Deliveries that were given up after their last attempt or an answer of 410.",
                &["destination"],
            )?,
            discarded: new.counters(
                "deliveries_discarded_total",
                "Deliveries that were given up because their destination was removed, or more were held than may be.",
                &["destination", "reason"],
            )?,
            backlogs: BacklogGauges::register(&new)?,
            held: HeldGauge::register(&new)?,
            cursor: new.gauges(
                "forward_cursor",
                "Log sequence that was routed last.",
                &["lane", "shard"],
            )?,
            unmatched: new.counters(
                "events_unmatched_total",
                "Stored events that no destination subscribed to when they were routed.",
                &["source"],
            )?,
            to_match: new.gauges(
                "blocks_to_match",
                "Blocks of the log behind the journal's cursor: stored, and not routed yet.",
                &["lane", "shard"],
            )?,
            undecodable: new.counters(
                "forward_undecodable_total",
                "Messages of the log or the journal that could not be decoded and were skipped.",
                &["stream"],
            )?,
            journal_append: new.journal_append()?,
            journal_records: new.journal_records()?,
        })
    }

    /// Sets the last log sequence up to which the journal has this lane routed.
    pub(crate) fn routed_through(&self, shard: ShardId, lane: Lane, sequence: u64) {
        set(&self.cursor, shard, lane, sequence);
    }

    /// Sets how many blocks of the log this lane has not routed yet.
    pub(crate) fn to_match(&self, shard: ShardId, lane: Lane, blocks: u64) {
        set(&self.to_match, shard, lane, blocks);
    }
}

fn set(gauge: &IntGaugeVec, shard: ShardId, lane: Lane, value: u64) {
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    gauge.with_label_values(&[lane.as_str(), &shard.to_string()]).set(value);
}

/// Creates metrics, and registers each as soon as it is created.
struct Registrar<'a> {
    registry: &'a Registry,
}

impl Registrar<'_> {
    fn add<M: Collector + Clone + 'static>(&self, metric: M) -> Result<M, prometheus::Error> {
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        self.add(IntCounterVec::new(Opts::new(format!("floodgate_{name}"), help), labels)?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
        self.add(IntGaugeVec::new(Opts::new(format!("floodgate_{name}"), help), labels)?)
    }

    fn journal_append(&self) -> Result<Histogram, prometheus::Error> {
        self.add(Histogram::with_opts(
            HistogramOpts::new(
                "floodgate_journal_append_duration_seconds",
                "From sending a block to its ack.",
            )
            .buckets(exponential_buckets(0.0005, 2.0, 14)?),
        )?)
    }

    fn journal_records(&self) -> Result<Histogram, prometheus::Error> {
        self.add(Histogram::with_opts(
            HistogramOpts::new("floodgate_journal_block_records", "Records of a journal block.")
                .buckets(exponential_buckets(1.0, 4.0, 8)?),
        )?)
    }
}
