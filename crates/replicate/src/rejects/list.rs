//! Lists refused requests, newest first.

use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::GetStreamError;
use floodgate_event::proto::{Reject, RejectBlock};
use floodgate_event::reject::MAX_BLOCK_BYTES;
use floodgate_event::{Name, format, subject};
use floodgate_stream::reader::{ReadError, ReadMessage, StreamReader, is_missing};

/// How many messages are read at a time.
const CHUNK: u64 = 256;
/// How many messages one page may look through. A page that has found too few rows by then says where the
/// next one goes on.
const MAX_SCANNED: u64 = 8 * CHUNK;

/// Which refused requests are listed. What is None does not matter.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only rows of this region.
    pub region: Option<Name>,
    /// Only rows of this source; the empty text for requests that named no source.
    pub source: Option<String>,
    /// Only rows with this code.
    pub code: Option<String>,
    /// Only rows of this IP address.
    pub peer: Option<IpAddr>,
    /// Only rows since this Unix time in microseconds.
    pub from_us: Option<u64>,
    /// Only rows before this Unix time in microseconds.
    pub to_us: Option<u64>,
}

/// Where a row is: the sequence of its message in the centre's stream, and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    sequence: u64,
    index: usize,
}

/// A refused request, with the gateway that refused it.
#[derive(Clone, Debug)]
pub struct Row {
    /// The position of the row, which the next page begins after.
    pub key: Key,
    /// The region of the gateway.
    pub region: String,
    /// The gateway that refused it.
    pub gateway: String,
    /// The refused request, as its gateway recorded it.
    pub reject: Reject,
}

/// A page of refused requests.
#[derive(Debug, Default)]
pub struct Page {
    /// At most as many rows as the caller asked for, the newest first.
    pub rows: Vec<Row>,
    /// After which key the next page begins. None on the last page.
    pub next: Option<Key>,
}

/// The centre's record of refused requests. Cheap to clone.
#[derive(Clone)]
pub struct RejectLog(Context);

impl RejectLog {
    /// The record in this JetStream.
    pub fn new(centre: Context) -> Self {
        Self(centre)
    }

    /// Reads a page of at most `limit` rows that are older than `after`. It may have fewer rows, also none,
    /// and still have a next page.
    ///
    /// # Errors
    /// If the centre's stream cannot be read.
    pub async fn page(
        &self,
        selection: &Selection,
        after: Option<Key>,
        limit: usize,
    ) -> Result<Page, ListError> {
        let Self(centre) = self;
        let stream = match centre.get_stream(subject::REJECTS_STREAM).await {
            Ok(stream) => stream,
            // Nothing was ever copied.
            Err(error) if is_missing(&error.kind()) => return Ok(Page::default()),
            Err(error) => return Err(error.into()),
        };
        let state = &stream.cached_info().state;
        let newest = Key { sequence: state.last_sequence, index: usize::MAX };
        let before = after.map_or(newest, |after| after.min(newest));
        let first = state.first_sequence.max(1);
        let least = first.max(before.sequence.saturating_sub(MAX_SCANNED - 1));
        let mut found = Found { selection, before, limit, rows: VecDeque::new() };
        let mut through = before.sequence;
        while through >= least {
            let from = least.max(through.saturating_sub(CHUNK - 1));
            found.read(centre, from, through).await?;
            if found.is_full() {
                break;
            }
            through = from - 1;
        }
        let more = Key { sequence: least, index: 0 };
        let next = match found.is_full() {
            true => found.rows.back().map(|row| row.key),
            false => (least > first).then_some(more),
        };
        Ok(Page { rows: found.rows.into(), next })
    }
}

impl Selection {
    fn takes(&self, region: &str, reject: &Reject) -> bool {
        let is =
            |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
        self.region.as_ref().is_none_or(|wanted| wanted.as_str() == region)
            && is(&self.source, &reject.source)
            && is(&self.code, &reject.code)
            && self.peer.is_none_or(|peer| is_of(&reject.peer, peer))
            && self.from_us.is_none_or(|from| reject.at_us >= from)
            && self.to_us.is_none_or(|to| reject.at_us < to)
    }
}

/// Returns true if a peer, an address with or without a port, has this address.
fn is_of(peer: &str, address: IpAddr) -> bool {
    let with_port = || peer.parse().map(|peer: SocketAddr| peer.ip());
    peer.parse()
        .or_else(|_| with_port())
        .is_ok_and(|peer: IpAddr| peer.to_canonical() == address.to_canonical())
}

/// The rows of a page so far, newest first.
struct Found<'s> {
    selection: &'s Selection,
    before: Key,
    limit: usize,
    rows: VecDeque<Row>,
}

impl Found<'_> {
    fn is_full(&self) -> bool {
        self.rows.len() >= self.limit
    }

    /// Adds the rows of some messages, which are all older than those that were read before.
    async fn read(&mut self, centre: &Context, from: u64, through: u64) -> Result<(), ReadError> {
        let filter = match &self.selection.region {
            Some(region) => subject::rejects(region),
            None => subject::REJECTS_WILDCARD.to_owned(),
        };
        let stream = subject::REJECTS_STREAM.to_owned();
        let room = self.limit - self.rows.len();
        let mut older = VecDeque::new();
        let reader = StreamReader::new(centre.clone(), stream, filter, from);
        let visit = |message: &ReadMessage| {
            for row in self.rows_of(message) {
                older.push_back(row);
                if older.len() > room {
                    older.pop_front();
                }
            }
        };
        reader.scan(through, visit).await?;
        // A scan that was begun again visits messages twice.
        let mut older = Vec::from(older);
        older.sort_by_key(|row: &Row| std::cmp::Reverse(row.key));
        older.dedup_by_key(|row| row.key);
        self.rows.extend(older);
        Ok(())
    }

    fn rows_of(&self, message: &ReadMessage) -> Vec<Row> {
        // What cannot be decoded is of a later version, or breaks the bounds of a block, and is skipped.
        if message.payload.len() > MAX_BLOCK_BYTES {
            return Vec::new();
        }
        let Ok(block) = format::decode::<RejectBlock>(message.payload.clone()) else { return Vec::new() };
        // Not what the block says of itself: its gateway may have written anything.
        let region = message.subject.rsplit('.').next().unwrap_or_default();
        let gateway = message.headers.as_ref().and_then(|headers| headers.get(subject::GATEWAY_HEADER));
        let gateway = gateway.map_or("", |gateway| gateway.as_str());
        let rows = block.rejects.into_iter().enumerate().map(|(index, reject)| Row {
            key: Key { sequence: message.sequence, index },
            region: region.to_owned(),
            gateway: gateway.to_owned(),
            reject,
        });
        rows.filter(|row| row.key < self.before && self.selection.takes(&row.region, &row.reject)).collect()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.sequence, self.index)
    }
}

impl FromStr for Key {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let (sequence, index) = text.split_once('.').ok_or(InvalidKey)?;
        let sequence = sequence.parse().map_err(|_| InvalidKey)?;
        Ok(Self { sequence, index: index.parse().map_err(|_| InvalidKey)? })
    }
}

/// The text is not the key of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the `next` of a page")]
pub struct InvalidKey;

/// Why the record cannot be read now.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The centre does not answer.
    #[error("the stream of refused requests: {0}")]
    Stream(#[from] GetStreamError),
    /// Reading failed several times.
    #[error("the stream of refused requests: {0}")]
    Read(#[from] ReadError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written() {
        let key = Key { sequence: 12, index: 3 };
        assert_eq!(key.to_string().parse(), Ok(key));
        for bad in ["", "12", "12.", ".3", "x.1", "1.2.3"] {
            assert_eq!(bad.parse::<Key>(), Err(InvalidKey), "{bad}");
        }
    }

    #[test]
    fn a_peer_is_found_by_its_address() {
        let selection = |peer: &str| Selection { peer: peer.parse().ok(), ..Selection::default() };
        let row = |peer: &str| Reject { peer: peer.to_owned(), ..Reject::default() };
        assert!(selection("192.0.2.1").takes("eu", &row("192.0.2.1:443")));
        assert!(selection("192.0.2.1").takes("eu", &row("192.0.2.1")));
        assert!(selection("2001:db8::1").takes("eu", &row("[2001:db8::1]:443")));
        assert!(!selection("192.0.2.1").takes("eu", &row("192.0.2.11:443")));
    }

    #[test]
    fn what_was_asked_for_is_taken() {
        let row = Reject {
            source: "stripe".to_owned(),
            code: "signature-refused".to_owned(),
            at_us: 10,
            ..Reject::default()
        };
        let all = Selection::default();
        let takes = |selection: Selection| selection.takes("eu", &row);
        assert!(takes(all.clone()));
        assert!(takes(Selection { source: Some("stripe".into()), from_us: Some(10), ..all.clone() }));
        assert!(!takes(Selection { to_us: Some(10), ..all.clone() }));
        assert!(!takes(Selection { source: Some(String::new()), ..all.clone() }));
        assert!(!takes(Selection { region: "us".parse().ok(), ..all }));
    }
}
