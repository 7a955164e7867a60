//! Blocks: each is one message of a region's stream, and holds one or more events.
//!
//! A gateway encodes each event in the task that received it. To seal a block, it only joins the pieces,
//! because a protobuf message is the concatenation of its fields.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use ulid::Ulid;

use crate::proto::{Block, Event};
use crate::{Lane, Name, ShardId, format, tally, time};

/// The field number of `Block.events`.
const EVENTS_FIELD: u32 = 8;

/// Identifies a block. Its text form is the `Nats-Msg-Id` of the message, by which a stream recognizes a
/// block that is published twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockId(Ulid);

impl BlockId {
    /// Makes a new id: a ULID, so that ids sort by time.
    pub fn generate() -> Self {
        Self(Ulid::generate())
    }
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An event in its wire form, ready to be put into a block.
#[derive(Clone, Debug)]
pub struct EncodedEvent {
    source: Name,
    bytes: Vec<u8>,
}

impl EncodedEvent {
    /// Encodes an event of `source`.
    pub fn new(source: Name, event: &Event) -> Self {
        Self { source, bytes: event.encode_to_vec() }
    }

    /// The number of bytes that it takes in a block, with its frame.
    pub fn framed_len(&self) -> usize {
        let len = self.bytes.len();
        key_len(EVENTS_FIELD) + encoded_len_varint(len as u64) + len
    }

    fn frame(&self, block: &mut BytesMut) {
        encode_key(EVENTS_FIELD, WireType::LengthDelimited, block);
        encode_varint(self.bytes.len() as u64, block);
        block.put_slice(&self.bytes);
    }
}

/// The destination and origin of a block.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The region of the gateway that filled the block.
    pub region: Name,
    /// The lane of all events in it.
    pub lane: Lane,
    /// The shard of all events in it.
    pub shard: ShardId,
    /// The name of the gateway process, as in its configuration.
    pub gateway: String,
}

/// A finished block, ready to be published.
#[derive(Debug)]
pub struct SealedBlock {
    /// The id, which is also the `Nats-Msg-Id`.
    pub id: BlockId,
    /// The number of events in the block, at least one.
    pub events: usize,
    /// The number of events of each source, for the [`EVENTS_HEADER`](crate::subject::EVENTS_HEADER).
    pub sources: EventCounts,
    /// The message's payload, a [`Block`].
    pub payload: Bytes,
}

impl SealedBlock {
    /// Joins encoded events into a block. A split event must come before its children.
    pub fn join<'e>(
        events: impl Iterator<Item = &'e EncodedEvent> + Clone,
        destination: &Destination,
        now: SystemTime,
    ) -> Self {
        let id = BlockId::generate();
        let head = Block {
            version: format::VERSION,
            id: id.0.to_bytes().to_vec(),
            region: destination.region.to_string(),
            lane: destination.lane.into_proto().into(),
            shard: destination.shard.get(),
            gateway: destination.gateway.clone(),
            sealed_at_us: time::unix_micros(now),
            events: Vec::new(),
        };
        let size: usize = events.clone().map(EncodedEvent::framed_len).sum();
        let mut payload = BytesMut::with_capacity(head.encoded_len() + size);
        // `BytesMut` grows, so encoding cannot run out of room.
        head.encode_raw(&mut payload);
        let mut sources = EventCounts::default();
        let mut count = 0;
        for event in events {
            event.frame(&mut payload);
            sources.add(&event.source, 1);
            count += 1;
        }
        Self { id, events: count, sources, payload: payload.freeze() }
    }
}

impl Lane {
    fn into_proto(self) -> crate::proto::Lane {
        self.into()
    }
}

/// The number of events of each source, in the form of the header of a regional message: `github=3;stripe=5`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventCounts(pub BTreeMap<Name, u64>);

impl EventCounts {
    /// Adds to the number of events of a source, by the rule of [`tally::add`].
    pub fn add(&mut self, source: &Name, count: u64) {
        match self.0.get_mut(source) {
            Some(total) => tally::add(total, count),
            None => drop(self.0.insert(source.clone(), count)),
        }
    }

    /// Returns the number of events of all sources.
    pub fn total(&self) -> u64 {
        tally::sum(self.0.values().copied())
    }
}

impl fmt::Display for EventCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (source, count)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ";" };
            write!(f, "{separator}{source}={count}")?;
        }
        Ok(())
    }
}

/// More events of one source than a block of 8 MiB can hold.
const MAX_COUNT: u64 = 1_000_000;

impl std::str::FromStr for EventCounts {
    type Err = InvalidEventCounts;

    fn from_str(text: &str) -> Result<Self, InvalidEventCounts> {
        let mut counts = BTreeMap::new();
        for pair in text.split(';').filter(|pair| !pair.is_empty()) {
            let (source, count) = pair.split_once('=').ok_or(InvalidEventCounts)?;
            let source: Name = source.parse().map_err(|_| InvalidEventCounts)?;
            let count = count.parse().ok().filter(|count| *count <= MAX_COUNT).ok_or(InvalidEventCounts)?;
            counts.insert(source, count);
        }
        Ok(Self(counts))
    }
}

/// A header value that is not a list of `source=count`, or has a count that no block can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a list of `source=count` pairs joined by `;`")]
pub struct InvalidEventCounts;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EventId;
    use crate::id::BodyHash;
    use crate::proto::Request;

    fn event(source: &str, body: &'static [u8]) -> Event {
        let hash = BodyHash::of(body);
        Event {
            id: EventId::from_body("default", source, &hash).as_bytes().to_vec(),
            source: source.to_owned(),
            body_hash: hash.as_bytes().to_vec(),
            request: Some(Request { raw: Some(Bytes::from_static(body)), ..Request::default() }),
            ..Event::default()
        }
    }

    fn destination() -> Destination {
        Destination {
            region: "eu".parse().unwrap(),
            lane: Lane::Standard,
            shard: ShardId::FIRST,
            gateway: "g1".into(),
        }
    }

    #[test]
    fn a_joined_block_decodes_as_one_message() {
        let events = [event("stripe", b"{\"a\":1}"), event("github", b""), event("stripe", b"x")];
        let encoded = events.each_ref().map(|event| EncodedEvent::new(event.source.parse().unwrap(), event));
        let sealed = SealedBlock::join(encoded.iter(), &destination(), SystemTime::now());

        let block: Block = format::decode(sealed.payload.clone()).unwrap();
        assert_eq!(block.events, events);
        assert_eq!(block.id, sealed.id.0.to_bytes());
        assert_eq!(block.encode_to_vec(), sealed.payload);
        let framed: usize = encoded.iter().map(EncodedEvent::framed_len).sum();
        let head = Block { events: Vec::new(), ..block };
        assert_eq!((sealed.events, framed + head.encoded_len()), (3, sealed.payload.len()));
        assert_eq!(sealed.sources.to_string(), "github=1;stripe=2");
        assert_eq!(sealed.sources.to_string().parse(), Ok(sealed.sources));
    }

    #[test]
    fn malformed_counts_are_refused() {
        for bad in ["x", "x=", "=1", "x=-1", "X=1", "x=1;y", "x=18446744073709551615"] {
            assert!(bad.parse::<EventCounts>().is_err(), "{bad}");
        }
        assert_eq!("".parse::<EventCounts>().unwrap().total(), 0);
    }
}
