//! Forgetting ids: which ledger days no copy can come for any more.
//!
//! It is noted in the log and happens when that is folded, so every relay's ledger drops the same days
//! at the same place. No event's own time counts for it, as gateways' clocks are not asked:
//! only when the regions' streams were looked at.

use std::sync::Arc;
use std::time::Duration;

use floodgate_clock::Clock;
use floodgate_event::time;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::writer::Work;
use crate::dedup::ledger::{Feed, Ledger};
use crate::progress::Progress;

/// How often it is looked whether a day can go.
const EVERY: Duration = Duration::from_secs(600);
/// By how much the clocks that were agreed on may have differed.
const MARGIN: Duration = Duration::from_secs(60);

/// Forgets for one shard.
pub struct Forgetter {
    /// What is forgotten from.
    pub ledger: Arc<Ledger>,
    /// How far each feed is replicated.
    pub progress: Progress,
    /// All of them.
    pub feeds: Vec<Feed>,
    /// For how many days a second copy is recognised.
    pub window_days: u32,
    /// The relay's time.
    pub clock: Clock,
    /// Notes it in the log.
    pub writer: mpsc::Sender<Work>,
}

impl Forgetter {
    /// Forgets until the writer is gone.
    pub async fn run(self) {
        loop {
            tokio::select! {
                () = self.writer.closed() => return,
                () = sleep(EVERY) => {}
            }
            if let Some(before_day) = self.due()
                && self.writer.send(Work::Forget { before_day }).await.is_err()
            {
                return;
            }
        }
    }

    /// The first day that is still needed, if there are days before it.
    pub fn due(&self) -> Option<u32> {
        if !self.clock.is_steady() {
            return None;
        }
        // Both are of the clock that is furthest behind: what is kept too long does no harm.
        let through_us = self.progress.through_us(&self.feeds).min(self.clock.earliest_us());
        let through_us = through_us.saturating_sub(MARGIN.as_micros() as u64);
        let before = time::unix_day(through_us).saturating_sub(self.window_days);
        self.ledger.has_before(before).then_some(before)
    }
}
