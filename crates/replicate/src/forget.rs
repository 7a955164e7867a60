//! Forgets ids: drops the ledger's days for which no second copy can arrive any more.
//!
//! A block in the log says which days to drop. Each relay's ledger drops them when it folds that block, so
//! that all drop them at the same place of the log. The times in events do not count, because the clocks of
//! gateways are not checked. What counts is when this relay looked at the regions' streams.

use std::time::Duration;

use floodgate_event::time;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::cursor::RegionLane;
use crate::log::ShardLog;
use crate::progress::RegionProgress;
use crate::writer::Work;

/// How often to check whether a day can be dropped.
const EVERY: Duration = Duration::from_secs(600);
/// How much the agreed clocks may have differed.
const MARGIN: Duration = Duration::from_secs(60);

/// Forgets the ids of one shard.
pub struct Forgetter {
    /// The shard's log, whose ledger forgets.
    pub log: ShardLog,
    /// How far each region is replicated in time.
    pub progress: RegionProgress,
    /// Every lane of every region: the slowest one decides.
    pub feeds: Vec<RegionLane>,
    /// For how many days a second copy is recognised.
    pub window_days: u32,
    /// Writes into the log what is forgotten.
    pub writer: mpsc::Sender<Work>,
}

impl Forgetter {
    /// Runs until the writer has stopped.
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
        if !self.log.clock.is_steady() {
            return None;
        }
        // Both times are those of the clock that is furthest behind: keeping ids too long does no harm.
        let through_us = self.progress.through_us(&self.feeds).min(self.log.clock.earliest_us());
        let through_us = through_us.saturating_sub(MARGIN.as_micros() as u64);
        let before = time::unix_day(through_us).saturating_sub(self.window_days);
        self.log.ledger.has_before(before).then_some(before)
    }
}
