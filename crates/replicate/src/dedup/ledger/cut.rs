//! How far a ledger is folded: its checkpoint and cursors, as values and as they stand in `meta`.

use std::collections::HashMap;

use fjall::Keyspace;
use floodgate_event::Lane;
use floodgate_event::proto::LogBlock;
use floodgate_event::proto::log_block::Content;
use floodgate_event::snapshot::Digest256;

use super::LedgerError;

pub(super) const CHECKPOINT_KEY: &[u8] = b"checkpoint";
const CURSOR_PREFIX: &str = "cursor/";

/// How far the log is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last folded message.
    pub sequence: u64,
    /// The SHA-256 of its payload.
    pub hash: Digest256,
    /// When it was appended, by the writer's clock; Unix time in microseconds.
    pub appended_at_us: u64,
}

/// Whose stream a cursor is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Feed {
    /// The region's name.
    pub region: String,
    /// The lane.
    pub lane: Lane,
}

/// How far a feed is replicated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The stream's incarnation.
    pub incarnation: String,
    /// Its last replicated message.
    pub sequence: u64,
}

/// The cut at which books are taken: everything that one checkpoint stands for.
#[derive(Clone, Debug)]
pub struct Cut {
    /// How far the log is folded; `None` before its first message.
    pub checkpoint: Option<Checkpoint>,
    /// How far each feed is replicated.
    pub cursors: HashMap<Feed, Cursor>,
}

pub(super) fn moved_cursor(block: &LogBlock) -> Option<(Feed, Cursor)> {
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
    Some((Feed { region: region.clone(), lane: Lane::try_from(lane).ok()? }, cursor))
}

pub(super) fn cursor_key(feed: &Feed) -> String {
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

fn decode_cursor(key: &[u8], value: &[u8]) -> Option<(Feed, Cursor)> {
    let (region, lane) = std::str::from_utf8(key).ok()?.strip_prefix(CURSOR_PREFIX)?.rsplit_once('/')?;
    let (sequence, incarnation) = value.split_first_chunk()?;
    let feed = Feed { region: region.to_owned(), lane: lane.parse().ok()? };
    let incarnation = String::from_utf8(incarnation.to_vec()).ok()?;
    Some((feed, Cursor { incarnation, sequence: u64::from_be_bytes(*sequence) }))
}
