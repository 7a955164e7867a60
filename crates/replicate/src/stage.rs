//! The stages of a block in the relay: a regional message becomes [`Replicated`], dedup makes it
//! [`Claimed`](crate::dedup::claim::Claimed), and only that can be appended.

use async_nats::HeaderMap;
use floodgate_event::block::EventCounts;
use floodgate_event::format::{self, DecodeError};
use floodgate_event::proto::{self, Block, SetAside, SourceCount};
use floodgate_event::subject;
use floodgate_stream::reader::ReadMessage;

use crate::cursor::RegionLane;

/// Identifies a regional message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The regional stream that it is in.
    pub feed: RegionLane,
    /// The incarnation of the region's stream.
    pub incarnation: String,
    /// The sequence of the message in that incarnation.
    pub sequence: u64,
}

impl Origin {
    /// Writes it as `region/incarnation/lane/sequence`, for a header.
    pub fn to_header(&self) -> String {
        let Self { feed, incarnation, sequence } = self;
        format!("{}/{incarnation}/{}/{sequence}", feed.region, feed.lane)
    }

    /// Reads what [`Self::to_header`] wrote.
    pub fn from_header(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let (region, incarnation, lane) = (parts.next()?.to_owned(), parts.next()?.to_owned(), parts.next()?);
        let feed = RegionLane { region, lane: lane.parse().ok()? };
        Some(Self { feed, incarnation, sequence: parts.next()?.parse().ok()? })
    }
}

impl From<&Origin> for proto::Origin {
    fn from(origin: &Origin) -> Self {
        Self {
            region: origin.feed.region.clone(),
            incarnation: origin.incarnation.clone(),
            lane: proto::Lane::from(origin.feed.lane).into(),
            sequence: origin.sequence,
        }
    }
}

/// A regional message that was decoded, or that cannot be decoded.
#[derive(Debug)]
pub struct Replicated {
    /// Identifies the message in its region.
    pub origin: Origin,
    /// What the message holds.
    pub content: Content,
}

/// What a regional message holds.
#[derive(Debug)]
pub enum Content {
    /// A block of events.
    Block(Block),
    /// Nothing that this version can decode. The message itself goes to the set-aside stream.
    SetAside(SetAside),
}

impl Replicated {
    /// Decodes a regional message.
    pub fn read(origin: Origin, message: &ReadMessage) -> Self {
        let content = match format::decode::<Block>(message.payload.clone()) {
            Ok(block) => Content::Block(block),
            Err(error) => Content::SetAside(set_aside(&error, message.headers.as_ref())),
        };
        Self { origin, content }
    }

    /// How many events it has.
    pub fn events(&self) -> usize {
        match &self.content {
            Content::Block(block) => block.events.len(),
            Content::SetAside(_) => 0,
        }
    }
}

fn set_aside(error: &DecodeError, headers: Option<&HeaderMap>) -> SetAside {
    let events = event_counts(headers).0.into_iter();
    let events = events.map(|(source, count)| SourceCount { source: source.into(), count });
    SetAside { reason: error.to_string(), events: events.collect() }
}

/// How many events the header of a regional message gives. None if the header is missing or malformed.
pub fn event_counts(headers: Option<&HeaderMap>) -> EventCounts {
    let header = headers.and_then(|headers| headers.get(subject::EVENTS_HEADER));
    header.and_then(|text| text.as_str().parse().ok()).unwrap_or_default()
}
