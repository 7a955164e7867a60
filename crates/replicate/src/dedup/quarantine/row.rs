//! The key and the value of a quarantined event in the index.

use floodgate_event::EventId;
use floodgate_event::proto::event::Disposition;
use floodgate_event::proto::{self, Quarantined};

use crate::dedup::value::Position;

/// The most bytes of an event type, or of a fault's message, in the index. The log has the full text.
const MAX_TEXT: usize = 200;
const VERSION: u8 = 1;
/// How many bytes come before the texts.
const HEAD: usize = 1 + 8 + 4 + 8 + 4;
const KEY_LEN: usize = 8 + 16;

/// Orders quarantined events by the time of their append to the log, and then by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The time of the append, as Unix time in microseconds.
    pub appended_at_us: u64,
    /// The id of the event.
    pub id: EventId,
}

impl Key {
    pub(super) fn encode(self) -> [u8; KEY_LEN] {
        let mut bytes = [0; KEY_LEN];
        bytes[..8].copy_from_slice(&self.appended_at_us.to_be_bytes());
        bytes[8..].copy_from_slice(self.id.as_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (appended_at, id) = bytes.split_first_chunk()?;
        Some(Self { appended_at_us: u64::from_be_bytes(*appended_at), id: EventId::try_from(id).ok()? })
    }
}

/// The form in which pages give it to callers.
impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.appended_at_us, self.id)
    }
}

impl std::str::FromStr for Key {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let (appended_at, id) = text.split_once('.').ok_or(InvalidKey)?;
        let appended_at_us = appended_at.parse().map_err(|_| InvalidKey)?;
        Ok(Self { appended_at_us, id: id.parse().map_err(|_| InvalidKey)? })
    }
}

/// The text is not a key that a page ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the `next` of an earlier page")]
pub struct InvalidKey;

/// A quarantined event, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where the event is in the log.
    pub position: Position,
    /// When the gateway received it; Unix time in microseconds.
    pub received_at_us: u64,
    /// The source that the event belongs to.
    pub source: String,
    /// The region that it came through.
    pub region: String,
    /// The handler that failed.
    pub handler: String,
    /// The version of the handler.
    pub handler_version: u32,
    /// The kind of fault, as the gateway names it.
    pub kind: String,
    /// The event's type, cut to 200 bytes.
    pub event_type: String,
    /// What happened, cut to 200 bytes.
    pub message: String,
}

impl Row {
    /// Makes the row of an event in the log. `None` if the event is not quarantined.
    pub fn of(event: &proto::Event, position: Position) -> Option<Self> {
        let Some(Disposition::Quarantined(fault)) = &event.disposition else { return None };
        let Quarantined { handler, kind, message, .. } = fault;
        let run = event.handlers.iter().rev().find(|run| run.name == *handler);
        Some(Self {
            position,
            received_at_us: event.received_at_us,
            source: cut(&event.source),
            region: cut(&event.region),
            handler: cut(handler),
            handler_version: run.map_or(0, |run| run.version),
            kind: cut(kind),
            event_type: cut(&event.r#type),
            message: cut(message),
        })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + 256);
        bytes.push(VERSION);
        bytes.extend(self.position.sequence.to_be_bytes());
        bytes.extend(self.position.index.to_be_bytes());
        bytes.extend(self.received_at_us.to_be_bytes());
        bytes.extend(self.handler_version.to_be_bytes());
        for text in [&self.source, &self.region, &self.handler, &self.kind, &self.event_type, &self.message] {
            // Cannot fail: `cut` keeps it below 256.
            bytes.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
            bytes.extend(text.as_bytes());
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (&VERSION, rest) = bytes.split_first()? else { return None };
        let (sequence, rest) = rest.split_first_chunk()?;
        let (index, rest) = rest.split_first_chunk()?;
        let (received_at, rest) = rest.split_first_chunk()?;
        let (version, mut rest) = rest.split_first_chunk()?;
        let mut text = || {
            let (&len, behind) = rest.split_first()?;
            let (text, behind) = behind.split_at_checked(len.into())?;
            rest = behind;
            String::from_utf8(text.to_vec()).ok()
        };
        Some(Self {
            source: text()?,
            region: text()?,
            handler: text()?,
            kind: text()?,
            event_type: text()?,
            message: text()?,
            position: Position { sequence: u64::from_be_bytes(*sequence), index: u32::from_be_bytes(*index) },
            received_at_us: u64::from_be_bytes(*received_at),
            handler_version: u32::from_be_bytes(*version),
        })
    }
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_TEXT)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Row {
            position: Position { sequence: 0x0102, index: 3 },
            received_at_us: 5,
            source: "orders".into(),
            region: "eu".into(),
            handler: "redact".into(),
            handler_version: 7,
            kind: "trap".into(),
            event_type: "order.paid".into(),
            message: "é".into(),
        }
    }

    #[test]
    fn form_is_pinned() {
        let bytes = row().encode();
        assert_eq!(
            hex(&bytes),
            "01000000000000010200000003000000000000000500000007\
             066f726465727302657506726564616374047472617\
             00a6f726465722e7061696402c3a9"
        );
        assert_eq!(Row::decode(&bytes), Some(row()));
        assert_eq!(Row::decode(&bytes[..bytes.len() - 1]), None);
        assert_eq!(Row::decode(&[&[2], &bytes[1..]].concat()), None);
        let key = Key { appended_at_us: 0x0102, id: EventId::from([9; 16]) };
        assert_eq!(hex(&key.encode()), format!("0000000000000102{}", "09".repeat(16)));
        assert_eq!((Key::decode(&key.encode()), key.to_string().parse()), (Some(key), Ok(key)));
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn texts_are_cut_between_characters() {
        let fault = Quarantined { message: format!("{}é", "a".repeat(199)), ..Quarantined::default() };
        let event =
            proto::Event { disposition: Some(Disposition::Quarantined(fault)), ..proto::Event::default() };
        let row = Row::of(&event, Position { sequence: 1, index: 0 }).unwrap();
        assert_eq!(row.message, "a".repeat(199));
        assert_eq!(Row::of(&proto::Event::default(), row.position), None);
    }
}
