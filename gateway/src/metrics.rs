//! What the gateway counts. Labels are bounded: `source` is one that the region knows, or `-`.

use prometheus::{
    Encoder as _, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
    Registry, TextEncoder,
};

use floodgate_event::Name;
use floodgate_listen::PortMetrics;

/// The `source` of requests that name none the region knows. No source can be called that.
const UNKNOWN_SOURCE: &str = "-";
/// 100 µs to 6.5 s, doubling each time.
const SECONDS: (f64, f64, usize) = (0.000_1, 2.0, 17);
/// 1 to 1,024 events.
const EVENTS: (f64, f64, usize) = (1.0, 2.0, 11);

/// Every metric of the gateway but those of handlers.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    signatures_refused: IntCounterVec,
    unread_fields: IntCounterVec,
    pub(crate) ingest_seconds: Histogram,
    pub(crate) blocks: IntCounter,
    pub(crate) blocks_failed: IntCounterVec,
    pub(crate) blocks_retried: IntCounterVec,
    pub(crate) block_events: Histogram,
    pub(crate) publish_seconds: HistogramVec,
    pub(crate) queue_bytes: IntGauge,
    replays: IntCounterVec,
    reloads: IntCounterVec,
    connections: IntGauge,
    connections_cut: IntCounterVec,
    pub(crate) config_revision: IntGauge,
    pub(crate) config_refused: IntGauge,
}

/// The counters of one source that move with each event, looked up once.
#[derive(Debug, Clone)]
pub(crate) struct SourceMetrics {
    pub(crate) accepted: IntCounter,
    pub(crate) answered: IntCounter,
}

impl Metrics {
    /// # Errors
    /// If a name is malformed or taken: a mistake in this file.
    pub(crate) fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let metrics = Self {
            requests: counters("ingest_requests_total", "Requests, by outcome.", &["source", "outcome"])?,
            signatures_refused: counters(
                "signatures_refused_total",
                "Requests whose signature was refused, by what was wrong with it.",
                &["source", "reason"],
            )?,
            unread_fields: counters(
                "unread_fields_total",
                "Fields (id, type, order) that an event gave no value for, by why.",
                &["source", "field", "reason"],
            )?,
            ingest_seconds: Histogram::with_opts(histogram(
                "ingest_duration_seconds",
                "From a request's headers to its answer.",
                SECONDS,
            )?)?,
            blocks: IntCounter::new("floodgate_blocks_total", "Blocks with a publish ack.")?,
            blocks_failed: counters("blocks_failed_total", "Blocks without a publish ack.", &["reason"])?,
            blocks_retried: counters(
                "blocks_retried_total",
                "Publishes of a block after its first, by what was wrong with the one before.",
                &["reason"],
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
            queue_bytes: gauge("queue_bytes", "Bytes reserved for requests and events under way.")?,
            replays: counters("replays_total", "Events to replay, by what became of them.", &["outcome"])?,
            reloads: counters(
                "reloads_total",
                "Readings of certificates and keys after a SIGHUP.",
                &["outcome"],
            )?,
            connections: gauge("connections", "Open connections on the ingest port.")?,
            connections_cut: counters(
                "connections_cut_total",
                "Connections on the ingest port that were cut off, by why.",
                &["reason"],
            )?,
            config_revision: gauge("config_revision", "Revision of the configuration that is served.")?,
            config_refused: gauge("config_refused_sources", "Sources not served as they are configured.")?,
            registry,
        };
        metrics.register()?;
        Ok(metrics)
    }

    fn register(&self) -> prometheus::Result<()> {
        let registry = &self.registry;
        registry.register(Box::new(self.requests.clone()))?;
        registry.register(Box::new(self.signatures_refused.clone()))?;
        registry.register(Box::new(self.unread_fields.clone()))?;
        registry.register(Box::new(self.ingest_seconds.clone()))?;
        registry.register(Box::new(self.blocks.clone()))?;
        registry.register(Box::new(self.blocks_failed.clone()))?;
        registry.register(Box::new(self.blocks_retried.clone()))?;
        registry.register(Box::new(self.block_events.clone()))?;
        registry.register(Box::new(self.publish_seconds.clone()))?;
        registry.register(Box::new(self.queue_bytes.clone()))?;
        registry.register(Box::new(self.replays.clone()))?;
        registry.register(Box::new(self.reloads.clone()))?;
        registry.register(Box::new(self.connections.clone()))?;
        registry.register(Box::new(self.connections_cut.clone()))?;
        registry.register(Box::new(self.config_revision.clone()))?;
        registry.register(Box::new(self.config_refused.clone()))
    }

    /// What is counted of the senders' port.
    pub(crate) fn of_port(&self) -> PortMetrics {
        PortMetrics { open: self.connections.clone(), cut: self.connections_cut.clone() }
    }

    /// Where other rooms add theirs.
    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The counters of a known source.
    pub(crate) fn source(&self, name: &Name) -> SourceMetrics {
        SourceMetrics {
            accepted: self.requests.with_label_values(&[name.as_str(), "accepted"]),
            answered: self.requests.with_label_values(&[name.as_str(), "answered"]),
        }
    }

    /// Counts a refused request.
    pub(crate) fn refused(&self, source: Option<&Name>, outcome: &str) {
        let source = source.map_or(UNKNOWN_SOURCE, Name::as_str);
        self.requests.with_label_values(&[source, outcome]).inc();
    }

    /// Counts a refused signature, which also counts as a refused request.
    pub(crate) fn signature_refused(&self, source: &Name, reason: &str) {
        self.signatures_refused.with_label_values(&[source.as_str(), reason]).inc();
    }

    /// Counts a field without a value.
    pub(crate) fn unread(&self, source: &Name, field: &str, reason: &str) {
        self.unread_fields.with_label_values(&[source.as_str(), field, reason]).inc();
    }

    /// Counts an event that was to be replayed.
    pub(crate) fn replayed(&self, outcome: &str) {
        self.replays.with_label_values(&[outcome]).inc();
    }

    /// Counts a reading of files while the gateway runs.
    pub(crate) fn reloaded(&self, outcome: &str) {
        self.reloads.with_label_values(&[outcome]).inc();
    }

    /// The text exposition format.
    ///
    /// # Errors
    /// If a metric cannot be written.
    pub(crate) fn render(&self) -> prometheus::Result<Vec<u8>> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

fn counters(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
    IntCounterVec::new(Opts::new(name, help).namespace("floodgate"), labels)
}

fn gauge(name: &str, help: &str) -> prometheus::Result<IntGauge> {
    IntGauge::with_opts(Opts::new(name, help).namespace("floodgate"))
}

fn histogram(name: &str, help: &str, buckets: (f64, f64, usize)) -> prometheus::Result<HistogramOpts> {
    let (start, factor, count) = buckets;
    let buckets = prometheus::exponential_buckets(start, factor, count)?;
    Ok(HistogramOpts::new(name, help).namespace("floodgate").buckets(buckets))
}
