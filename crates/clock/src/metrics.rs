//! The metric of how far each clock is off.

use prometheus::{GaugeVec, Opts, Registry};

use crate::ClockId;

/// `floodgate_clock_off_seconds`: how far each clock is ahead of the relay's time.
#[derive(Clone)]
pub struct ClockMetrics(GaugeVec);

impl ClockMetrics {
    /// Registers the metric.
    ///
    /// # Errors
    /// If a metric of this name is registered already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let help = "How far a clock is ahead of the relay's time: `host`, `centre`, `region <name>`.";
        let off = GaugeVec::new(Opts::new("floodgate_clock_off_seconds", help), &["clock"])?;
        registry.register(Box::new(off.clone()))?;
        Ok(Self(off))
    }

    pub(crate) fn off(&self, who: &ClockId, off_us: i64) {
        self.0.with_label_values(&[&who.to_string()]).set(off_us as f64 / 1e6);
    }
}
