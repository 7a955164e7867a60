//! How long runs took.

use std::time::Duration;

use serde::Serialize;

/// Times of single runs.
pub(super) struct Sample(Vec<Duration>);

/// The quantiles of a sample, to a tenth of a microsecond; zeros if there were no runs.
#[derive(Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The median, in microseconds.
    pub median_us: f64,
    /// The 99th percentile (nearest rank), in microseconds.
    pub p99_us: f64,
}

impl Sample {
    /// An empty sample with room for this many runs.
    pub(super) fn with_capacity(runs: u32) -> Self {
        Self(Vec::with_capacity(runs as usize))
    }

    /// Adds the time of one run.
    pub(super) fn add(&mut self, duration: Duration) {
        self.0.push(duration);
    }

    /// What it comes to; zeros if there were no runs.
    pub(super) fn summary(mut self) -> Summary {
        self.0.sort_unstable();
        Summary { median_us: self.quantile(50), p99_us: self.quantile(99) }
    }

    /// The run that this many of a hundred took at most as long as (nearest rank),
    /// to a tenth of a microsecond.
    fn quantile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100);
        let duration = self.0.get(rank.saturating_sub(1)).copied().unwrap_or_default();
        (duration.as_secs_f64() * 10_000_000.0).round() / 10.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_ranks() {
        let mut sample = Sample::with_capacity(200);
        (1..=200).rev().for_each(|number| sample.add(Duration::from_micros(number)));
        assert_eq!(sample.summary(), Summary { median_us: 100.0, p99_us: 198.0 });
        let mut one = Sample::with_capacity(1);
        one.add(Duration::from_nanos(1_260));
        assert_eq!(one.summary(), Summary { median_us: 1.3, p99_us: 1.3 });
    }
}
