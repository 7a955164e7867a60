//! Replicates the regions into one shard's log: starts the readers, the writer, the purger and the forgetter.

use std::sync::Arc;
use std::time::Duration;

use floodgate_event::{Lane, LogRate, ShardCount};
use floodgate_stream::RegionConnection;
use floodgate_stream::append::FencedAppender;
use floodgate_stream::lease::Lease;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::books::Bookkeeper;
use crate::cursor::{Cursor, RegionLane};
use crate::forget::Forgetter;
use crate::log::{ShardLog, WriteError};
use crate::metrics::ReplicationMetrics;
use crate::progress::RegionProgress;
use crate::purge::Purger;
use crate::region_reader::{LOOK_EVERY, RegionReader};
use crate::room::Room;
use crate::writer::{Appended, Work, Writer};

/// How many regional messages may wait for the writer.
const WRITER_INBOX: usize = 16;

/// Replicates the regions into one shard's log, while this process holds the shard's lease.
#[derive(Clone)]
pub struct Replicator {
    /// The shard's log, and its ledger.
    pub log: ShardLog,
    /// How many shards share a region's stream.
    pub shards: ShardCount,
    /// The regions to copy from.
    pub regions: Vec<RegionConnection>,
    /// Counts the events that a purge is about to remove.
    pub books: Arc<Bookkeeper>,
    /// Where the readers record how far each region is replicated.
    pub progress: RegionProgress,
    /// How long ids and regional messages are kept.
    pub retention: Retention,
    /// The metrics, which all shards share.
    pub metrics: ReplicationMetrics,
}

/// How long ids and regional messages are kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// For how many days the ledger recognises a second copy of an event.
    pub window_days: u32,
    /// How long a region keeps a message that is in the log.
    pub history: Duration,
}

impl Replicator {
    /// Starts one term as the log's writer, after [`ShardLog::take_over`]. The readers start at once. The
    /// returned future is the writer, and ends once the lease is lost.
    ///
    /// # Errors
    /// The future fails as [`Writer::run`] does.
    pub fn start(
        &self,
        lease: &Lease,
        appender: FencedAppender<Appended>,
    ) -> (impl Future<Output = Result<(), WriteError>> + use<>, JoinSet<()>) {
        let (work, inbox) = mpsc::channel(WRITER_INBOX);
        let mut tasks = self.start_readers(&work);
        tasks.spawn(self.purger(work.clone()).run());
        tasks.spawn(self.forgetter(work).run());
        let writer = Writer::new(&self.log, lease.clone(), appender, self.metrics.clone());
        (writer.run(inbox), tasks)
    }

    fn start_readers(&self, work: &mpsc::Sender<Work>) -> JoinSet<()> {
        let (mut tasks, room) = (JoinSet::new(), Room::new());
        let mut cursors = self.log.ledger.cut().cursors;
        for region in &self.regions {
            for feed in lanes(region) {
                let cursor = cursors.remove(&feed).unwrap_or_default();
                tasks.spawn(self.reader((region, feed), cursor, work.clone(), room.clone()).run());
            }
        }
        tasks
    }

    fn reader(
        &self,
        (region, feed): (&RegionConnection, RegionLane),
        cursor: Cursor,
        writer: mpsc::Sender<Work>,
        room: Room,
    ) -> RegionReader {
        RegionReader {
            region: region.context.clone(),
            log: self.log.clone(),
            shards: self.shards,
            feed,
            cursor,
            writer,
            room,
            progress: self.progress.clone(),
            look_every: LOOK_EVERY,
            metrics: self.metrics.clone(),
            lines: LogRate::new(),
        }
    }

    fn purger(&self, writer: mpsc::Sender<Work>) -> Purger {
        Purger {
            log: self.log.clone(),
            regions: self.regions.clone(),
            books: Arc::clone(&self.books),
            writer,
            kept: self.retention.history,
        }
    }

    fn forgetter(&self, writer: mpsc::Sender<Work>) -> Forgetter {
        Forgetter {
            log: self.log.clone(),
            progress: self.progress.clone(),
            feeds: self.regions.iter().flat_map(lanes).collect(),
            window_days: self.retention.window_days,
            writer,
        }
    }
}

fn lanes(region: &RegionConnection) -> impl Iterator<Item = RegionLane> + use<> {
    let region = region.name.to_string();
    Lane::ALL.into_iter().map(move |lane| RegionLane { region: region.clone(), lane })
}
