//! The control plane's metrics.

use floodgate_event::ShardId;
use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};

/// The revisions and the size of the configuration, and the destinations that are held. Clones share the
/// gauges.
#[derive(Clone)]
pub struct Metrics {
    wanted: IntGauge,
    bytes: IntGauge,
    routed: IntGaugeVec,
    held: IntGauge,
}

impl Metrics {
    /// Registers the metrics, whose names begin with `floodgate_config`, `floodgate_routed` and
    /// `floodgate_destinations`.
    ///
    /// # Errors
    /// If a name is registered already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let routed = IntGaugeVec::new(
            Opts::new("floodgate_routed_revision", "Revision that the shard's writer routes by."),
            &["shard"],
        )?;
        registry.register(Box::new(routed.clone()))?;
        Ok(Self {
            wanted: gauge("floodgate_config_wanted_revision", "Latest revision of the configuration.")?,
            bytes: gauge("floodgate_config_bytes", "Bytes of the configuration's document.")?,
            routed,
            held: gauge(
                "floodgate_destinations_held",
                "Destinations whose deliveries wait because their secrets cannot be used.",
            )?,
        })
    }

    pub(super) fn set_latest_revision(&self, revision: u64, bytes: usize) {
        self.wanted.set(number(revision));
        self.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(super) fn set_routed_revision(&self, shard: ShardId, revision: u64) {
        self.routed.with_label_values(&[&shard.to_string()]).set(number(revision));
    }

    pub(super) fn set_held_destinations(&self, destinations: usize) {
        self.held.set(i64::try_from(destinations).unwrap_or(i64::MAX));
    }
}

fn number(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}
