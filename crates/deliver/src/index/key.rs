//! The keys of the index. Numbers are big-endian, so that keys sort as what they name.

use floodgate_event::Name;
use floodgate_event::proto::DeliveryKey;

use super::IndexError;

/// The number of bytes in a delivery's key before the destination's name.
const ID_HEAD: usize = 16;

/// Identifies a delivery: an event by its position in the log, a destination, and a generation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct DeliveryId {
    pub(crate) log_sequence: u64,
    pub(crate) index: u32,
    pub(crate) generation: u32,
    pub(crate) destination: Name,
}

impl DeliveryId {
    /// Reads the key of a journal record. Returns none if the destination is not a valid name.
    pub(crate) fn from_proto(key: &DeliveryKey) -> Option<Self> {
        Some(Self {
            log_sequence: key.log_sequence,
            index: key.index,
            generation: key.generation,
            destination: key.destination.parse().ok()?,
        })
    }

    pub(crate) fn to_proto(&self) -> DeliveryKey {
        DeliveryKey {
            log_sequence: self.log_sequence,
            index: self.index,
            destination: self.destination.to_string(),
            generation: self.generation,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(ID_HEAD + self.destination.len());
        key.extend(event_prefix(self.log_sequence, self.index));
        key.extend(self.generation.to_be_bytes());
        key.extend(self.destination.as_bytes());
        key
    }

    pub(super) fn decode(key: &[u8]) -> Result<Self, IndexError> {
        Self::split(key).ok_or(IndexError::Damaged("a delivery's key"))
    }

    fn split(key: &[u8]) -> Option<Self> {
        let (log_sequence, rest) = key.split_first_chunk()?;
        let (index, rest) = rest.split_first_chunk()?;
        let (generation, name) = rest.split_first_chunk()?;
        Some(Self {
            log_sequence: u64::from_be_bytes(*log_sequence),
            index: u32::from_be_bytes(*index),
            generation: u32::from_be_bytes(*generation),
            destination: std::str::from_utf8(name).ok()?.parse().ok()?,
        })
    }
}

/// Returns the prefix of the keys of all deliveries of an event.
pub(super) fn event_prefix(log_sequence: u64, index: u32) -> [u8; 12] {
    let mut prefix = [0; 12];
    prefix[..8].copy_from_slice(&log_sequence.to_be_bytes());
    prefix[8..].copy_from_slice(&index.to_be_bytes());
    prefix
}

/// The position of an open delivery in its destination's queue. First attempts have the due time 0, so they
/// come before all retries, in the order of the journal. Retries are in the order of their due times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueuePosition {
    /// When it is due, as Unix time in microseconds; 0 for a first attempt.
    pub(super) due_us: u64,
    /// The sequence of the journal message that put it there.
    pub(super) journal_sequence: u64,
    /// Its place among the deliveries that this message put there.
    pub(super) ordinal: u32,
}

impl QueuePosition {
    pub(super) fn encode(&self, destination: &str) -> Vec<u8> {
        let mut key = queue_prefix(destination);
        key.extend(self.due_us.to_be_bytes());
        key.extend(self.journal_sequence.to_be_bytes());
        key.extend(self.ordinal.to_be_bytes());
        key
    }
}

/// Returns the prefix of all keys of a destination's queue. A name has no zero byte, so no queue contains
/// another.
pub(super) fn queue_prefix(destination: &str) -> Vec<u8> {
    let mut key = destination.as_bytes().to_vec();
    key.push(0);
    key
}

/// Returns the first possible key of a destination's queue that is due at or after `due_us`.
pub(super) fn queue_from(destination: &str, due_us: u64) -> Vec<u8> {
    QueuePosition { due_us, journal_sequence: 0, ordinal: 0 }.encode(destination)
}

/// Returns a key after all keys of a destination's queue.
pub(super) fn queue_end(destination: &str) -> Vec<u8> {
    let mut key = destination.as_bytes().to_vec();
    key.push(1);
    key
}

/// Returns the destination and due time of a queue key.
pub(super) fn split_queue_key(key: &[u8]) -> Result<(Name, u64), IndexError> {
    let damaged = IndexError::Damaged("a queue key");
    let Some(zero) = key.iter().position(|&byte| byte == 0) else {
        return Err(damaged);
    };
    let (name, rest) = key.split_at(zero);
    let name = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok());
    match (name, rest[1..].first_chunk()) {
        (Some(name), Some(due)) => Ok((name, u64::from_be_bytes(*due))),
        _ => Err(damaged),
    }
}

/// Returns the key of an attempt: the delivery's key, and the attempt's number.
pub(super) fn attempt_key(delivery: &[u8], number: u32) -> Vec<u8> {
    let mut key = attempts_prefix(delivery);
    key.extend(number.to_be_bytes());
    key
}

/// Returns the prefix of the keys of a delivery's attempts.
pub(super) fn attempts_prefix(delivery: &[u8]) -> Vec<u8> {
    let mut key = delivery.to_vec();
    key.push(0);
    key
}
