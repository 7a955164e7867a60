//! The metrics of blocks.

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};

/// 100 µs to 6.5 s, doubling each time.
const SECONDS: (f64, f64, usize) = (0.000_1, 2.0, 17);
/// 1 to 1,024 events.
const EVENTS: (f64, f64, usize) = (1.0, 2.0, 11);

/// The metrics of blocks. Clones share them.
#[derive(Clone, Debug)]
pub struct EnqueueMetrics {
    pub(crate) blocks: IntCounter,
    pub(crate) blocks_failed: IntCounterVec,
    pub(crate) blocks_retried: IntCounterVec,
    pub(crate) block_events: Histogram,
    pub(crate) publish_seconds: HistogramVec,
}

impl EnqueueMetrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            blocks: IntCounter::new("floodgate_blocks_total", "Blocks with a publish ack.")?,
            blocks_failed: counters("blocks_failed_total", "Blocks without a publish ack.")?,
            blocks_retried: counters(
                "blocks_retried_total",
                "Publishes of a block after its first, by what was wrong with the one before.",
            )?,
            block_events: Histogram::with_opts(histogram(
                "block_events",
                "Events of a durable block.",
                EVENTS,
            )?)?,
            publish_seconds: HistogramVec::new(
                histogram(
                    "publish_duration_seconds",
                    "From a sealed block to its publish ack or failure.",
                    SECONDS,
                )?,
                &["lane"],
            )?,
        };
        registry.register(Box::new(metrics.blocks.clone()))?;
        registry.register(Box::new(metrics.blocks_failed.clone()))?;
        registry.register(Box::new(metrics.blocks_retried.clone()))?;
        registry.register(Box::new(metrics.block_events.clone()))?;
        registry.register(Box::new(metrics.publish_seconds.clone()))?;
        Ok(metrics)
    }
}

fn counters(name: &str, help: &str) -> prometheus::Result<IntCounterVec> {
    IntCounterVec::new(Opts::new(name, help).namespace("floodgate"), &["reason"])
}

fn histogram(name: &str, help: &str, buckets: (f64, f64, usize)) -> prometheus::Result<HistogramOpts> {
    let (start, factor, count) = buckets;
    let buckets = prometheus::exponential_buckets(start, factor, count)?;
    Ok(HistogramOpts::new(name, help).namespace("floodgate").buckets(buckets))
}
