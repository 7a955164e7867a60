//! Writing the journal: one task appends, everybody else waits for it. While a block is on its way to disk
//! the next one fills, so that a sync is shared by all that happened during the one before it.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use floodgate_event::proto::{JournalBlock, Record};
use floodgate_event::{format, subject};
use floodgate_stream::append::FencedAppender;
use floodgate_stream::lease::Lease;
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, oneshot};
use ulid::Ulid;

use super::ForwardError;
use super::follow::fold_in;
use super::index::{DeliveryIndex, JournalMessage};
use super::metrics::ForwardMetrics;

/// Entries that may wait. Their bytes are bounded by those who wait: an attempt each, a batch of a lane each.
const QUEUE: usize = 1024;
/// A block is closed at this size. An entry is never cut, so one that is larger is a block of its own.
pub(super) const BLOCK_BYTES: usize = 512 * 1024;

/// Where records are handed in.
#[derive(Clone)]
pub(super) struct Journal {
    entries: mpsc::Sender<Entry>,
}

/// Records that stand in the same block.
struct Entry {
    records: Vec<Record>,
    bytes: usize,
    durable: oneshot::Sender<()>,
}

/// Nothing is journaled any more: another writer took over, or the writer failed and said why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct JournalClosed;

impl Journal {
    /// The handle, and the writer that must be run. It ends once all handles are gone.
    pub(super) fn new(
        appender: FencedAppender,
        index: Arc<DeliveryIndex>,
        stamp: Stamp,
        metrics: ForwardMetrics,
    ) -> (Self, Writer) {
        let (sender, entries) = mpsc::channel(QUEUE);
        (Self { entries: sender }, Writer { appender, index, stamp, metrics, entries, held: None })
    }

    /// Waits until the records are on disk and in the index.
    pub(super) async fn record(&self, records: Vec<Record>) -> Result<(), JournalClosed> {
        let bytes = records.iter().map(Record::encoded_len).sum();
        let (durable, done) = oneshot::channel();
        self.entries.send(Entry { records, bytes, durable }).await.map_err(|_| JournalClosed)?;
        done.await.map_err(|_| JournalClosed)
    }
}

/// What each block says of its writer.
#[derive(Clone)]
pub(super) struct Stamp {
    writer: [u8; 16],
    epoch: u64,
    pub(super) subject: String,
}

impl Stamp {
    pub(super) fn new(lease: &Lease, shard: u32) -> Self {
        Self { writer: lease.writer(), epoch: lease.epoch(), subject: subject::journal(shard) }
    }

    /// A block of these records, as it goes on the wire.
    pub(super) fn seal(&self, records: Vec<Record>) -> (JournalBlock, Bytes) {
        let block = JournalBlock {
            version: format::VERSION,
            id: Ulid::generate().to_bytes().to_vec(),
            writer: self.writer.to_vec(),
            epoch: self.epoch,
            records,
        };
        let payload = block.encode_to_vec().into();
        (block, payload)
    }
}

/// The one writer of a shard's journal.
pub(super) struct Writer {
    appender: FencedAppender,
    index: Arc<DeliveryIndex>,
    stamp: Stamp,
    metrics: ForwardMetrics,
    entries: mpsc::Receiver<Entry>,
    /// An entry that did not fit into the block before.
    held: Option<Entry>,
}

impl Writer {
    pub(super) async fn run(mut self) -> Result<(), ForwardError> {
        while let Some(entries) = self.fill().await {
            let (records, waiting): (Vec<_>, Vec<_>) =
                entries.into_iter().map(|entry| (entry.records, entry.durable)).unzip();
            self.write(records.into_iter().flatten().collect()).await?;
            for durable in waiting {
                // Whoever does not wait any more need not know.
                let _ = durable.send(());
            }
        }
        Ok(())
    }

    /// The entries of the next block: all that wait, up to its size.
    async fn fill(&mut self) -> Option<Vec<Entry>> {
        let first = match self.held.take() {
            Some(held) => held,
            None => self.entries.recv().await?,
        };
        let mut bytes = first.bytes;
        let mut entries = vec![first];
        while let Ok(entry) = self.entries.try_recv() {
            bytes += entry.bytes;
            if bytes > BLOCK_BYTES {
                self.held = Some(entry);
                break;
            }
            entries.push(entry);
        }
        Some(entries)
    }

    /// The index follows the ack, never the other way round: it holds nothing that the journal might not.
    pub(super) async fn write(&mut self, records: Vec<Record>) -> Result<(), ForwardError> {
        self.metrics.journal_records.observe(records.len() as f64);
        let (block, payload) = self.stamp.seal(records);
        let digest = Sha256::digest(&payload).into();
        let started = Instant::now();
        let sequence = self.appender.append(self.stamp.subject.clone(), payload).await?;
        self.metrics.journal_append.observe(started.elapsed().as_secs_f64());
        fold_in(&self.index, JournalMessage { sequence, digest, records: block.records }).await
    }
}
