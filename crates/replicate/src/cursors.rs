//! How far a shard's log has each region, read from the log's own messages.

use std::collections::HashMap;

use floodgate_event::proto::LogBlock;
use floodgate_event::proto::log_block::Content;
use floodgate_event::{Lane, format, subject};
use floodgate_stream::reader::ReadMessage;

use super::stage::Origin;
use crate::dedup::ledger::{Cursor, Feed};

/// Each feed's cursor, with where in the log it stands: memory grows with the feeds and not with the log.
/// Messages may be noted in any order.
#[derive(Clone, Debug, Default)]
pub struct LogCursors(HashMap<Feed, (u64, Cursor)>);

impl LogCursors {
    /// Notes a regional block, by the headers of its message.
    pub fn note_replica(&mut self, message: &ReadMessage) {
        let Some(origin) = origin(message) else { return };
        let Origin { feed, incarnation, sequence } = origin;
        self.note(message.sequence, feed, Cursor { incarnation, sequence });
    }

    /// Notes a message on the control subject, by its payload.
    pub fn note_control(&mut self, message: &ReadMessage) {
        let Ok(block) = format::decode::<LogBlock>(message.payload.clone()) else { return };
        let Some(Content::Incarnation(began)) = block.content else { return };
        let Ok(lane) = Lane::try_from(began.lane) else { return };
        let feed = Feed { region: began.region, lane };
        self.note(message.sequence, feed, Cursor { incarnation: began.current, sequence: 0 });
    }

    fn note(&mut self, at: u64, feed: Feed, cursor: Cursor) {
        let known = self.0.entry(feed).or_default();
        if known.0 <= at {
            *known = (at, cursor);
        }
    }

    /// Where the log has a feed.
    pub fn of(&self, feed: &Feed) -> Cursor {
        self.0.get(feed).map(|(_, cursor)| cursor.clone()).unwrap_or_default()
    }

    /// All of them.
    pub fn into_cursors(self) -> HashMap<Feed, Cursor> {
        self.0.into_iter().map(|(feed, (_, cursor))| (feed, cursor)).collect()
    }
}

/// The regional block that a message of the log holds, if it says so.
pub fn origin(message: &ReadMessage) -> Option<Origin> {
    Origin::from_header(message.headers.as_ref()?.get(subject::ORIGIN_HEADER)?.as_str())
}
