//! Writes the journal, the record of what was matched and how each attempt ended.
//!
//! Tasks hand records to a [`Recorder`] and wait until they are on disk. One [`Writer`] appends them in
//! blocks, and folds each block into the delivery index after the server acknowledged it. While a block is in
//! flight the next one fills, so that one disk sync serves everything that happened during the one before.
//!
//! What was acknowledged survives a crash. What was not is done again: a lane matches its block again, and an
//! attempt is repeated.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use floodgate_event::proto::{JournalBlock, Record};
use floodgate_event::{ShardId, format, subject};
use floodgate_stream::append::FencedAppender;
use floodgate_stream::lease::Lease;
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, oneshot};
use ulid::Ulid;

use super::DispatchError;
use super::follow::fold;
use super::index::{DeliveryIndex, JournalMessage};
use super::metrics::DeliveryMetrics;

/// The most entries that may wait. Their bytes are bounded by who waits for them: each attempt in flight has
/// one small entry, and each lane one batch.
const QUEUE: usize = 1024;
/// The most bytes of records in a block. An entry is never split, so a larger one is a block of its own.
pub(super) const BLOCK_BYTES: usize = 512 * 1024;

/// Hands records to the journal's writer.
#[derive(Clone)]
pub(super) struct Recorder {
    entries: mpsc::Sender<Entry>,
}

/// Records that belong in the same block.
struct Entry {
    records: Vec<Record>,
    bytes: usize,
    recorded: oneshot::Sender<()>,
}

/// Nothing can be recorded any more: another writer took over, or this one failed. Its result says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Closed;

impl Recorder {
    /// Makes a recorder, and the writer behind it, which must be run. The writer ends once all recorders are
    /// dropped.
    pub(super) fn new(
        appender: FencedAppender,
        index: Arc<DeliveryIndex>,
        encoder: BlockEncoder,
        metrics: DeliveryMetrics,
    ) -> (Self, Writer) {
        let (sender, entries) = mpsc::channel(QUEUE);
        (Self { entries: sender }, Writer { appender, index, encoder, metrics, entries, carried_over: None })
    }

    /// Records these in one block, and waits until they are on disk and in the index.
    ///
    /// # Errors
    /// If the writer ended. The records may be on disk all the same.
    pub(super) async fn record(&self, records: Vec<Record>) -> Result<(), Closed> {
        let bytes = records.iter().map(Record::encoded_len).sum();
        let (recorded, done) = oneshot::channel();
        self.entries.send(Entry { records, bytes, recorded }).await.map_err(|_| Closed)?;
        done.await.map_err(|_| Closed)
    }
}

/// Encodes blocks, each with its writer's name and epoch.
#[derive(Clone)]
pub(super) struct BlockEncoder {
    writer: [u8; 16],
    epoch: u64,
    pub(super) subject: String,
}

impl BlockEncoder {
    pub(super) fn new(lease: &Lease, shard: ShardId) -> Self {
        Self { writer: lease.writer(), epoch: lease.epoch(), subject: subject::journal(shard) }
    }

    /// Returns a block of these records, and its payload.
    pub(super) fn encode(&self, records: Vec<Record>) -> (JournalBlock, Bytes) {
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
    encoder: BlockEncoder,
    metrics: DeliveryMetrics,
    entries: mpsc::Receiver<Entry>,
    /// An entry that did not fit into the block before.
    carried_over: Option<Entry>,
}

impl Writer {
    /// Writes what recorders hand in, until all of them are dropped.
    pub(super) async fn run(mut self) -> Result<(), DispatchError> {
        while let Some(entries) = self.fill().await {
            let (records, waiting): (Vec<_>, Vec<_>) =
                entries.into_iter().map(|entry| (entry.records, entry.recorded)).unzip();
            self.write(records.into_iter().flatten().collect()).await?;
            for recorded in waiting {
                // A task that was aborted does not wait any more.
                let _ = recorded.send(());
            }
        }
        Ok(())
    }

    /// Takes the entries of the next block: all that wait, up to the size of a block. None once all recorders
    /// are dropped.
    async fn fill(&mut self) -> Option<Vec<Entry>> {
        let first = match self.carried_over.take() {
            Some(carried_over) => carried_over,
            None => self.entries.recv().await?,
        };
        let mut bytes = first.bytes;
        let mut entries = vec![first];
        while let Ok(entry) = self.entries.try_recv() {
            bytes += entry.bytes;
            if bytes > BLOCK_BYTES {
                self.carried_over = Some(entry);
                break;
            }
            entries.push(entry);
        }
        Some(entries)
    }

    /// Appends one block and then folds it into the index. The fold comes after the ack, so that the index
    /// never holds what the journal may have lost.
    pub(super) async fn write(&mut self, records: Vec<Record>) -> Result<(), DispatchError> {
        self.metrics.journal_records.observe(records.len() as f64);
        let (block, payload) = self.encoder.encode(records);
        let digest = Sha256::digest(&payload).into();
        let started = Instant::now();
        let sequence = self.appender.append(self.encoder.subject.clone(), payload).await?;
        self.metrics.journal_append.observe(started.elapsed().as_secs_f64());
        fold(&self.index, JournalMessage { sequence, digest, records: block.records }).await
    }
}
