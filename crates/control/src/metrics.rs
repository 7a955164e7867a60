//! What the control plane shows of itself.

use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};

/// The control plane's metrics; clones share them.
#[derive(Clone)]
pub struct ControlMetrics {
    wanted: IntGauge,
    bytes: IntGauge,
    routed: IntGaugeVec,
    held: IntGauge,
}

impl ControlMetrics {
    /// Registers them.
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

    pub(super) fn wanted(&self, revision: u64, bytes: usize) {
        self.wanted.set(number(revision));
        self.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(super) fn routed(&self, shard: u32, revision: u64) {
        self.routed.with_label_values(&[&shard.to_string()]).set(number(revision));
    }

    pub(super) fn held(&self, destinations: usize) {
        self.held.set(i64::try_from(destinations).unwrap_or(i64::MAX));
    }
}

fn number(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}
