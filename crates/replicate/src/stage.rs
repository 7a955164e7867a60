//! The stages of a block in the relay: a regional message becomes [`Replicated`], dedup makes it
//! [`Claimed`](crate::dedup::claim::Claimed), and only that can be appended.

use async_nats::HeaderMap;
use floodgate_event::block::EventCounts;
use floodgate_event::format::{self, DecodeError};
use floodgate_event::proto::{self, Block, SetAside, SourceCount};
use floodgate_event::subject;
use floodgate_stream::reader::ReadMessage;

use crate::dedup::ledger::Feed;

/// Where a regional message stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Region and lane.
    pub feed: Feed,
    /// The incarnation of the region's stream.
    pub incarnation: String,
    /// Its sequence there.
    pub sequence: u64,
}

impl Origin {
    /// `region/incarnation/lane/sequence`, as headers give it.
    pub fn to_header(&self) -> String {
        let Self { feed, incarnation, sequence } = self;
        format!("{}/{incarnation}/{}/{sequence}", feed.region, feed.lane)
    }

    /// Reads what [`Self::to_header`] wrote.
    pub fn from_header(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let (region, incarnation, lane) = (parts.next()?.to_owned(), parts.next()?.to_owned(), parts.next()?);
        let feed = Feed { region, lane: lane.parse().ok()? };
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

/// A regional message that is read and understood, or understood to be unreadable.
#[derive(Debug)]
pub struct Replicated {
    /// Where it came from.
    pub origin: Origin,
    /// What it holds.
    pub content: Content,
}

/// What a regional message holds.
#[derive(Debug)]
pub enum Content {
    /// Events.
    Block(Block),
    /// Nothing that this version can read. The message itself goes to the set-aside stream.
    SetAside(SetAside),
}

impl Replicated {
    /// Reads a regional message.
    pub fn read(origin: Origin, message: &ReadMessage) -> Self {
        let content = match format::decode::<Block>(message.payload.clone()) {
            Ok(block) => Content::Block(block),
            Err(error) => Content::SetAside(set_aside(&error, message.headers.as_ref())),
        };
        Self { origin, content }
    }
}

fn set_aside(error: &DecodeError, headers: Option<&HeaderMap>) -> SetAside {
    let events = event_counts(headers).0.into_iter();
    let events = events.map(|(source, count)| SourceCount { source: source.into(), count });
    SetAside { reason: error.to_string(), events: events.collect() }
}

/// The events that a regional message's header says it holds; none if it says nothing readable.
pub fn event_counts(headers: Option<&HeaderMap>) -> EventCounts {
    let header = headers.and_then(|headers| headers.get(subject::EVENTS_HEADER));
    header.and_then(|text| text.as_str().parse().ok()).unwrap_or_default()
}
