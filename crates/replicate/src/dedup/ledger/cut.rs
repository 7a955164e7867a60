//! How far a ledger is folded: its checkpoint and cursors, and how they are stored in `meta`.

use std::collections::HashMap;

use fjall::Keyspace;
use floodgate_event::proto::LogBlock;
use floodgate_event::proto::log_block::Content;
use floodgate_event::{Digest256, Lane};

use super::LedgerError;
use crate::cursor::{Cursor, RegionLane};

pub(super) const CHECKPOINT_KEY: &[u8] = b"checkpoint";
const CURSOR_PREFIX: &str = "cursor/";

/// How far the log is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The sequence of the last folded message.
    pub sequence: u64,
    /// The SHA-256 of its payload. It tells one log from another.
    pub hash: Digest256,
    /// When it was appended, by the writer's clock; Unix time in microseconds.
    pub appended_at_us: u64,
}

/// How far the log is folded, and how far every feed is replicated at that point of the log.
#[derive(Clone, Debug)]
pub struct Cut {
    /// How far the log is folded; `None` before its first message.
    pub checkpoint: Option<Checkpoint>,
    /// How far each feed is replicated.
    pub cursors: HashMap<RegionLane, Cursor>,
}

pub(super) fn moved_cursor(block: &LogBlock) -> Option<(RegionLane, Cursor)> {
    let (region, lane, cursor) = match block.content.as_ref()? {
        Content::Replica(replica) => {
            let origin = replica.origin.as_ref()?;
            let cursor = Cursor { incarnation: origin.incarnation.clone(), sequence: origin.sequence };
            (&origin.region, origin.lane, cursor)
        }
        Content::Incarnation(new) => {
            (&new.region, new.lane, Cursor { incarnation: new.current.clone(), sequence: 0 })
        }
        Content::Fence(_) | Content::Purge(_) | Content::Forget(_) => return None,
    };
    Some((RegionLane { region: region.clone(), lane: Lane::try_from(lane).ok()? }, cursor))
}

pub(super) fn cursor_key(feed: &RegionLane) -> String {
    format!("{CURSOR_PREFIX}{}/{}", feed.region, feed.lane)
}

pub(super) fn encode_cursor(cursor: &Cursor) -> Vec<u8> {
    [&cursor.sequence.to_be_bytes(), cursor.incarnation.as_bytes()].concat()
}

pub(super) fn encode_checkpoint(checkpoint: &Checkpoint) -> Vec<u8> {
    let Checkpoint { sequence, hash, appended_at_us } = checkpoint;
    [&sequence.to_be_bytes()[..], &appended_at_us.to_be_bytes(), hash.as_bytes()].concat()
}

pub(super) fn read_cut(meta: &Keyspace) -> Result<Cut, LedgerError> {
    let checkpoint = match meta.get(CHECKPOINT_KEY)? {
        Some(bytes) => Some(decode_checkpoint(&bytes).ok_or(LedgerError::Value)?),
        None => None,
    };
    let mut cursors = HashMap::new();
    for guard in meta.prefix(CURSOR_PREFIX) {
        let (key, value) = guard.into_inner()?;
        let (feed, cursor) = decode_cursor(&key, &value).ok_or(LedgerError::Value)?;
        cursors.insert(feed, cursor);
    }
    Ok(Cut { checkpoint, cursors })
}

fn decode_checkpoint(bytes: &[u8]) -> Option<Checkpoint> {
    let (sequence, rest) = bytes.split_first_chunk()?;
    let (appended_at, hash) = rest.split_first_chunk()?;
    Some(Checkpoint {
        sequence: u64::from_be_bytes(*sequence),
        hash: Digest256::from_bytes(hash.try_into().ok()?),
        appended_at_us: u64::from_be_bytes(*appended_at),
    })
}

fn decode_cursor(key: &[u8], value: &[u8]) -> Option<(RegionLane, Cursor)> {
    let (region, lane) = std::str::from_utf8(key).ok()?.strip_prefix(CURSOR_PREFIX)?.rsplit_once('/')?;
    let (sequence, incarnation) = value.split_first_chunk()?;
    let feed = RegionLane { region: region.to_owned(), lane: lane.parse().ok()? };
    let incarnation = String::from_utf8(incarnation.to_vec()).ok()?;
    Some((feed, Cursor { incarnation, sequence: u64::from_be_bytes(*sequence) }))
}
