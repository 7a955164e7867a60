//! How far a shard's log has copied each region, read from the log's own messages.

use std::collections::HashMap;

use floodgate_event::proto::LogBlock;
use floodgate_event::proto::log_block::Content;
use floodgate_event::{Lane, format, subject};
use floodgate_stream::reader::ReadMessage;

use super::stage::Origin;
use crate::cursor::{Cursor, RegionLane};

/// The cursor of each feed, with the sequence of the log message that it is from. Memory grows with the
/// number of feeds, not with the log. Messages may be noted in any order.
#[derive(Clone, Debug, Default)]
pub struct LogCursors(HashMap<RegionLane, (u64, Cursor)>);

impl LogCursors {
    /// Takes the cursor from the headers of a regional block.
    pub fn note_replica(&mut self, message: &ReadMessage) {
        let Some(origin) = origin(message) else { return };
        let Origin { feed, incarnation, sequence } = origin;
        self.note(message.sequence, feed, Cursor { incarnation, sequence });
    }

    /// Takes the cursor from the payload of a message on the control subject.
    pub fn note_control(&mut self, message: &ReadMessage) {
        let Ok(block) = format::decode::<LogBlock>(message.payload.clone()) else { return };
        let Some(Content::Incarnation(began)) = block.content else { return };
        let Ok(lane) = Lane::try_from(began.lane) else { return };
        let feed = RegionLane { region: began.region, lane };
        self.note(message.sequence, feed, Cursor { incarnation: began.current, sequence: 0 });
    }

    fn note(&mut self, at: u64, feed: RegionLane, cursor: Cursor) {
        let known = self.0.entry(feed).or_default();
        if known.0 <= at {
            *known = (at, cursor);
        }
    }

    /// The cursor of a feed, or the default one if the log has nothing of the feed.
    pub fn of(&self, feed: &RegionLane) -> Cursor {
        self.0.get(feed).map(|(_, cursor)| cursor.clone()).unwrap_or_default()
    }

    /// All cursors, without the log sequences that they are from.
    pub fn into_cursors(self) -> HashMap<RegionLane, Cursor> {
        self.0.into_iter().map(|(feed, (_, cursor))| (feed, cursor)).collect()
    }
}

/// The origin of the regional block that a log message holds, if its headers name one.
pub fn origin(message: &ReadMessage) -> Option<Origin> {
    Origin::from_header(message.headers.as_ref()?.get(subject::ORIGIN_HEADER)?.as_str())
}
