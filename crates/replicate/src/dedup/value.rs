//! What the ledger remembers of an event: 30 bytes.

use floodgate_event::proto::{self, KeyKind};

/// Where an event is in the central log: the message's sequence and the event's index in its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The sequence of the message.
    pub sequence: u64,
    /// The index of the event in the message's block.
    pub index: u32,
}

impl From<Position> for proto::Position {
    fn from(position: Position) -> Self {
        Self { sequence: position.sequence, index: position.index }
    }
}

/// What the ledger holds about an event id that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenEvent {
    /// Its position in the log.
    pub position: Position,
    /// True if it makes later copies duplicates. Stored events and the parents of splits do; what was
    /// filtered, answered or quarantined does not.
    pub claims: bool,
    /// True if a copy with another body is worth a flag. That is so only if the id is the provider's own.
    pub by_id: bool,
    /// True if the log already has a sample of such a copy.
    pub sampled: bool,
    /// The hash of the raw body, as in the event.
    pub body_hash: [u8; 16],
}

/// Bytes of an encoded value.
const LEN: usize = 1 + 8 + 4 + 16 + 1;
const VERSION: u8 = 1;
const CLAIMS: u8 = 1;
const BY_ID: u8 = 2;
const SAMPLED: u8 = 4;

impl SeenEvent {
    /// Makes the value of an event at this position of the log.
    pub fn new(event: &proto::Event, position: Position, claims: bool) -> Self {
        let mut body_hash = [0; 16];
        if event.body_hash.len() == body_hash.len() {
            body_hash.copy_from_slice(&event.body_hash);
        }
        let by_id = matches!(event.key_kind(), KeyKind::Id | KeyKind::Delivery);
        Self { position, claims, by_id, sampled: false, body_hash }
    }

    /// The bytes that the ledger stores.
    pub fn encode(&self) -> [u8; LEN] {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let mut bytes = [0; LEN];
        bytes[0] = VERSION;
        bytes[1..9].copy_from_slice(&self.position.sequence.to_be_bytes());
        bytes[9..13].copy_from_slice(&self.position.index.to_be_bytes());
        bytes[13..29].copy_from_slice(&self.body_hash);
        bytes[29] = flag(self.claims, CLAIMS) | flag(self.by_id, BY_ID) | flag(self.sampled, SAMPLED);
        bytes
    }

    /// Reads what [`Self::encode`] wrote; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; LEN] = bytes.try_into().ok()?;
        if bytes[0] != VERSION {
            return None;
        }
        let sequence = u64::from_be_bytes(bytes[1..9].try_into().ok()?);
        let index = u32::from_be_bytes(bytes[9..13].try_into().ok()?);
        let has = |bit: u8| bytes[29] & bit != 0;
        Some(Self {
            position: Position { sequence, index },
            claims: has(CLAIMS),
            by_id: has(BY_ID),
            sampled: has(SAMPLED),
            body_hash: bytes[13..29].try_into().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_is_pinned() {
        let position = Position { sequence: 0x0102, index: 3 };
        let known = SeenEvent { position, claims: true, by_id: false, sampled: true, body_hash: [9; 16] };
        let bytes = known.encode();
        assert_eq!(bytes[..13], [1, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 3]);
        assert_eq!((bytes.len(), bytes[29]), (30, 5));
        assert_eq!(SeenEvent::decode(&bytes), Some(known));
        assert_eq!(SeenEvent::decode(&bytes[1..]), None);
    }
}
