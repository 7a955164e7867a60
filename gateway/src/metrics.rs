//! The metrics of the gateway. Labels are bounded: `source` is one that the region knows, or `-`.

use prometheus::{
    Encoder as _, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use floodgate_enqueue::EnqueueMetrics;
use floodgate_event::{Lane, Name};
use floodgate_ingress::Shed;
use floodgate_listen::PortMetrics;

/// The `source` of requests that name no source of the region. No source can have this name.
const UNKNOWN_SOURCE: &str = "-";
/// 100 µs to 6.5 s, doubling each time.
const SECONDS: (f64, f64, usize) = (0.000_1, 2.0, 17);

/// Every metric of the gateway, apart from those of handlers.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    signatures_refused: IntCounterVec,
    unread_fields: IntCounterVec,
    pub(crate) ingest_seconds: Histogram,
    pub(crate) enqueue: EnqueueMetrics,
    pub(crate) queue_bytes: IntGauge,
    replays: IntCounterVec,
    reloads: IntCounterVec,
    shed: IntCounterVec,
    lanes_shed: IntGaugeVec,
    pub(crate) rated_addresses: IntGauge,
    pub(crate) access_log_left_out: IntCounter,
    connections: IntGauge,
    connections_cut: IntCounterVec,
    pub(crate) secrets_used: IntGaugeVec,
    pub(crate) config_revision: IntGauge,
    pub(crate) config_refused: IntGauge,
}

/// The counters of one source that move with each event, looked up once.
#[derive(Debug, Clone)]
pub(crate) struct SourceMetrics {
    pub(crate) accepted: IntCounter,
    pub(crate) answered: IntCounter,
    /// Handshakes of the provider that were answered.
    pub(crate) handshakes: IntCounter,
}

impl Metrics {
    /// # Errors
    /// If a name is malformed or taken: a mistake in this file.
    pub(crate) fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let metrics = Self {
            requests: counters(
                "ingest_requests_total",
                "Requests, and events of batches, by outcome.",
                &["source", "outcome"],
            )?,
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
            enqueue: EnqueueMetrics::register(&registry)?,
            queue_bytes: gauge("queue_bytes", "Bytes reserved for requests and events under way.")?,
            replays: counters("replays_total", "Events to replay, by what became of them.", &["outcome"])?,
            reloads: counters(
                "reloads_total",
                "Readings of certificates and keys after a SIGHUP or a change.",
                &["outcome"],
            )?,
            shed: counters(
                "events_shed_total",
                "Requests that were refused because their lane was shed, by what was used up.",
                &["lane", "reason"],
            )?,
            lanes_shed: IntGaugeVec::new(
                Opts::new("lane_shed", "1 while events of a lane are refused to make room for others.")
                    .namespace("floodgate"),
                &["lane"],
            )?,
            rated_addresses: gauge("rated_addresses", "Addresses whose request rate is known.")?,
            access_log_left_out: IntCounter::new(
                "floodgate_access_log_left_out_total",
                "Lines of the access log over its rate, or that nobody took.",
            )?,
            connections: gauge("connections", "Open connections on the ingest port.")?,
            connections_cut: counters(
                "connections_cut_total",
                "Connections on the ingest port that were cut off, by why.",
                &["reason"],
            )?,
            secrets_used: IntGaugeVec::new(
                Opts::new(
                    "source_secret_used_timestamp_seconds",
                    "When a secret of a source last verified a request, in Unix time.",
                )
                .namespace("floodgate"),
                &["source", "secret"],
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
        registry.register(Box::new(self.queue_bytes.clone()))?;
        registry.register(Box::new(self.replays.clone()))?;
        registry.register(Box::new(self.reloads.clone()))?;
        registry.register(Box::new(self.shed.clone()))?;
        registry.register(Box::new(self.lanes_shed.clone()))?;
        registry.register(Box::new(self.rated_addresses.clone()))?;
        registry.register(Box::new(self.access_log_left_out.clone()))?;
        registry.register(Box::new(self.connections.clone()))?;
        registry.register(Box::new(self.connections_cut.clone()))?;
        registry.register(Box::new(self.secrets_used.clone()))?;
        registry.register(Box::new(self.config_revision.clone()))?;
        registry.register(Box::new(self.config_refused.clone()))
    }

    /// The metrics of the senders' port.
    pub(crate) fn of_port(&self) -> PortMetrics {
        PortMetrics { open: self.connections.clone(), cut: self.connections_cut.clone() }
    }

    /// The registry, to which other modules add their metrics.
    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The counters of a known source.
    pub(crate) fn source(&self, name: &Name) -> SourceMetrics {
        SourceMetrics {
            accepted: self.requests.with_label_values(&[name.as_str(), "accepted"]),
            answered: self.requests.with_label_values(&[name.as_str(), "answered"]),
            handshakes: self.requests.with_label_values(&[name.as_str(), "handshake"]),
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

    /// Counts a request whose lane is shed, which also counts as a refused request.
    pub(crate) fn shed(&self, shed: Shed) {
        self.shed.with_label_values(&[shed.lane.as_str(), shed.why.as_str()]).inc();
    }

    /// Records which lanes are shed now.
    pub(crate) fn lanes_shed(&self, is_shed: impl Fn(Lane) -> bool) {
        for lane in Lane::ALL {
            self.lanes_shed.with_label_values(&[lane.as_str()]).set(i64::from(is_shed(lane)));
        }
    }

    /// Counts a field that has no value, by the reason.
    pub(crate) fn unread(&self, source: &Name, field: &str, reason: &str) {
        self.unread_fields.with_label_values(&[source.as_str(), field, reason]).inc();
    }

    /// Counts an event that was asked to be replayed, by the result.
    pub(crate) fn replayed(&self, outcome: &str) {
        self.replays.with_label_values(&[outcome]).inc();
    }

    /// Counts that certificates and keys were read again, by the result.
    pub(crate) fn reloaded(&self, outcome: &str) {
        self.reloads.with_label_values(&[outcome]).inc();
    }

    /// Writes all metrics in Prometheus' text format.
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
