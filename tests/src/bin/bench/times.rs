//! Medians and percentiles, and how times are printed.

use std::cmp::Ordering;
use std::time::Duration;

use floodgate_testkit::{Failure, Result};

/// What stands in the middle.
pub(crate) fn median<T>(mut all: Vec<T>, order: impl FnMut(&T, &T) -> Ordering) -> Result<T> {
    all.sort_by(order);
    let middle = all.len() / 2;
    all.into_iter().nth(middle).ok_or_else(|| Failure::new("no rounds"))
}

/// Of times in order.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Result<Duration> {
    let at = sorted.len().saturating_sub(1) * percent / 100;
    sorted.get(at).copied().ok_or_else(|| Failure::new("no request was answered"))
}

pub(crate) fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}
