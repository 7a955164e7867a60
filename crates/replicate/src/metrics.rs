//! The metrics of replication.

use floodgate_event::ShardId;
use floodgate_event::tally::Tallies;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

use crate::cursor::RegionLane;

/// The metrics of replication. Clones share them.
#[derive(Clone)]
pub struct ReplicationMetrics {
    blocks: IntCounterVec,
    verdicts: IntCounterVec,
    set_aside: IntCounterVec,
    incarnations: IntCounterVec,
    missing: IntCounterVec,
    pending: IntGaugeVec,
    sequence: IntGaugeVec,
    writing: IntGaugeVec,
    ledger_days: IntGaugeVec,
    ledger_bytes: IntGaugeVec,
}

impl ReplicationMetrics {
    /// Registers the metrics of replication.
    ///
    /// # Errors
    /// If a name is registered already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let vector = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(vector.clone()))?;
            Ok::<_, prometheus::Error>(vector)
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            let vector = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(vector.clone()))?;
            Ok::<_, prometheus::Error>(vector)
        };
        Ok(Self {
            blocks: counter("floodgate_replicated_blocks_total", "Blocks copied.", &["region", "lane"])?,
            verdicts: counter("floodgate_verdicts_total", "Events by verdict.", &["region", "verdict"])?,
            set_aside: counter(
                "floodgate_blocks_set_aside_total",
                "Blocks that could not be decoded.",
                &["region", "lane"],
            )?,
            incarnations: counter(
                "floodgate_region_incarnations_total",
                "Times that a region's stream began anew or went back.",
                &["region", "lane"],
            )?,
            missing: counter(
                "floodgate_region_missing_blocks_total",
                "Blocks that a region no longer had before the log had them.",
                &["region", "lane"],
            )?,
            pending: gauge(
                "floodgate_replication_pending_blocks",
                "Blocks in the region behind the one read last.",
                &["region", "lane"],
            )?,
            sequence: gauge("floodgate_log_sequence", "Last sequence written or folded.", &["shard"])?,
            writing: gauge("floodgate_log_writer", "1 while this process writes the log.", &["shard"])?,
            ledger_days: gauge("floodgate_ledger_days", "Days that the ledger holds.", &["shard"])?,
            ledger_bytes: gauge("floodgate_ledger_bytes", "Bytes of the ledger on disk.", &["shard"])?,
        })
    }

    /// Counts a block that was appended to the log, and its events by verdict.
    pub fn replicated(&self, feed: &RegionLane, tallies: &Tallies) {
        self.blocks.with_label_values(&[feed.region.as_str(), feed.lane.as_str()]).inc();
        for tally in tallies.0.values() {
            let counts = [
                ("stored", tally.stored),
                ("duplicate", tally.duplicate),
                ("filtered", tally.filtered),
                ("responded", tally.responded),
                ("quarantined", tally.quarantined),
                ("set_aside", tally.set_aside),
            ];
            for (verdict, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
                self.verdicts.with_label_values(&[feed.region.as_str(), verdict]).inc_by(count);
            }
        }
    }

    /// Counts a block that could not be decoded.
    pub fn set_aside(&self, feed: &RegionLane) {
        self.set_aside.with_label_values(&[feed.region.as_str(), feed.lane.as_str()]).inc();
    }

    /// Counts that a regional stream began anew or went back.
    pub fn incarnation(&self, feed: &RegionLane) {
        self.incarnations.with_label_values(&[feed.region.as_str(), feed.lane.as_str()]).inc();
    }

    /// Counts blocks that the region dropped before they were in the log.
    pub fn missing(&self, feed: &RegionLane, blocks: u64) {
        self.missing.with_label_values(&[feed.region.as_str(), feed.lane.as_str()]).inc_by(blocks);
    }

    /// Sets how many blocks are in the region behind the last one that was read.
    pub fn pending(&self, feed: &RegionLane, blocks: u64) {
        let blocks = i64::try_from(blocks).unwrap_or(i64::MAX);
        self.pending.with_label_values(&[feed.region.as_str(), feed.lane.as_str()]).set(blocks);
    }

    /// Sets the last sequence of the log that was written or folded.
    pub fn log_sequence(&self, shard: ShardId, sequence: u64) {
        let sequence = i64::try_from(sequence).unwrap_or(i64::MAX);
        self.sequence.with_label_values(&[&shard.to_string()]).set(sequence);
    }

    /// Sets how many days the ledger holds, and its size on disk in bytes.
    pub fn ledger(&self, shard: ShardId, days: usize, bytes: u64) {
        let labels = [&shard.to_string()];
        self.ledger_days.with_label_values(&labels).set(i64::try_from(days).unwrap_or(i64::MAX));
        self.ledger_bytes.with_label_values(&labels).set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Sets whether this process writes the shard's log.
    pub fn writing(&self, shard: ShardId, writes: bool) {
        self.writing.with_label_values(&[&shard.to_string()]).set(writes.into());
    }
}
