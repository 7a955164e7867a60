//! The books: what came in, and what became of it, folded from the streams at one cut.
//!
//! `accepted` is counted in the regional streams, verdicts in the central log, `in_transit` behind the
//! cursor; how stored events were routed in the journal, `to_match` behind its cursor in the log.
//! No term is computed from the others, so a message that goes missing shows as a difference.

mod log_fold;
mod region_fold;
mod sheet;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_nats::connection::State as Link;
use async_nats::jetstream::Context;
use floodgate_event::block::EventCounts;
use floodgate_event::{Lane, Name};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use self::log_fold::LogFold;
use self::region_fold::{Place, RegionFold};

pub use self::sheet::{Books, CutSheet, Deliveries, Events, FeedCut, LaneCut, LogCut, SourceBooks, Unknown};
use crate::dedup::ledger::{Cursor, Feed, Ledger};
use crate::feed::next_incarnation;
use crate::progress::Progress;
use floodgate_event::deliveries::DeliveryBooks;
use floodgate_stream::reader::ReadError;

/// Messages that a fold takes at a time.
const STEP: u64 = 50_000;
/// How often a shard is counted anew because a purge came between, and the wait before.
const PURGE_TRIES: u32 = 5;
const PURGE_PAUSE: Duration = Duration::from_millis(100);

/// A region as the books see it.
#[derive(Clone)]
pub struct RegionStreams {
    /// Its name.
    pub name: Name,
    /// Its JetStream.
    pub context: Context,
}

/// Counts a shard's deliveries, or says why they cannot be counted. It reads the disk.
pub type CountDeliveries = Arc<dyn Fn() -> Result<DeliveryBooks, String> + Send + Sync>;

/// What a shard's books are folded from.
#[derive(Clone)]
pub struct ShardBooks {
    /// The shard.
    pub shard: u32,
    /// Its ledger, to find events in.
    pub ledger: Arc<Ledger>,
    /// Counts its deliveries.
    pub deliveries: CountDeliveries,
    /// Since when its feeds are out of reach.
    pub progress: Progress,
}

/// Takes the books. Folds are kept between calls, and thrown away when a stream lost a
/// message within what they cover.
pub struct Bookkeeper {
    centre: Context,
    regions: Vec<RegionStreams>,
    shards: Vec<ShardBooks>,
    state: Mutex<State>,
}

/// When a source last had an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Not as far back as the log goes.
    Never,
    /// At this time, by the centre's NATS.
    At(SystemTime),
    /// Just now: it is not in the log yet.
    InTransit,
    /// This region cannot be asked.
    Unknown(String),
}

#[derive(Default)]
struct State {
    folds: BTreeMap<u32, Folds>,
    /// The books that were taken last, and when that began.
    last: Option<(Instant, Taken)>,
}

/// Books, or why they could not be taken, for all who wait for them.
type Taken = Result<Arc<Books>, Arc<BooksError>>;

#[derive(Default)]
struct Folds {
    log: LogFold,
    regions: BTreeMap<Feed, RegionFold>,
}

impl Bookkeeper {
    /// Keeps the books of these shards and regions.
    pub fn new(centre: Context, regions: Vec<RegionStreams>, shards: Vec<ShardBooks>) -> Self {
        Self { centre, regions, shards, state: Mutex::default() }
    }

    /// Takes the books now. Those who ask while they are being taken wait, and share the next ones:
    /// however many ask, one at a time reads streams.
    ///
    /// # Errors
    /// If the centre's streams cannot be read. A region out of reach is no error: it is listed as unknown.
    pub async fn take(&self) -> Taken {
        let asked = Instant::now();
        let mut state = self.state.lock().await;
        if let Some((began, taken)) = &state.last
            && *began >= asked
        {
            return taken.clone();
        }
        let began = Instant::now();
        let taken = self.fold(&mut state.folds).await.map(Arc::new).map_err(Arc::new);
        state.last = Some((began, taken.clone()));
        taken
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// When a source last had an event, anywhere.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub async fn seen(&self, source: &Name) -> Result<Seen, Arc<BooksError>> {
        let books = self.take().await?;
        if let Some(unknown) = books.unknown.first() {
            return Ok(Seen::Unknown(unknown.region.clone()));
        }
        if books.sources.get(source.as_str()).is_some_and(|source| source.events.in_transit > 0) {
            return Ok(Seen::InTransit);
        }
        let state = self.state.lock().await;
        let last = state.folds.values().filter_map(|folds| folds.log.last_of(source)).max();
        Ok(last.map_or(Seen::Never, Seen::At))
    }

    async fn fold(&self, folds: &mut BTreeMap<u32, Folds>) -> Result<Books, BooksError> {
        let mut books = Books::default();
        for shard in &self.shards {
            let folds = folds.entry(shard.shard).or_default();
            books.append(self.take_shard(shard, folds).await?);
        }
        books.close();
        Ok(books)
    }

    /// A purge that comes between reading the log and reading its region would be missing from the one and
    /// gone from the other. It is noted in the log before it happens, so a note that came meanwhile shows it.
    async fn take_shard(&self, shard: &ShardBooks, folds: &mut Folds) -> Result<Books, BooksError> {
        for tries in 1.. {
            let (books, through) = self.try_shard(shard, folds).await?;
            if log_fold::last_control(&self.centre, shard.shard).await? <= through {
                return Ok(books);
            }
            if tries == PURGE_TRIES {
                break;
            }
            sleep(PURGE_PAUSE).await;
        }
        Err(BooksError::Purging)
    }

    /// One sheet, and the end of the log that it was taken at.
    async fn try_shard(&self, shard: &ShardBooks, folds: &mut Folds) -> Result<(Books, u64), BooksError> {
        // Before the log: what the journal has routed by now is in the log that is read after it.
        let deliveries = tokio::task::block_in_place(|| (shard.deliveries)());
        let deliveries = deliveries.map_err(BooksError::Deliveries)?;
        let mut books = Books::default();
        let through = folds.log.advance(&self.centre, shard.shard).await?;
        books.add_verdicts(&folds.log);
        books.cut.log.push(LogCut { shard: shard.shard, sequence: through });
        for region in &self.regions {
            for lane in Lane::ALL {
                let feed = Feed { region: region.name.to_string(), lane };
                let fold = folds.regions.entry(feed.clone()).or_default();
                let place = self.place(shard.shard, region, &feed);
                take_feed(shard, &place, &folds.log, fold, &mut books).await;
            }
        }
        // What regions held that were removed since is all in the log: they are drained first.
        books.add_accepted(&folds.log.of_other_regions(&self.regions));
        self.add_routing(shard.shard, &mut folds.log, &deliveries, through, &mut books).await?;
        books.add_deliveries(shard.shard, &deliveries);
        Ok((books, through))
    }

    /// What became of stored events: by the journal up to each lane's cursor, by the log behind it.
    async fn add_routing(
        &self,
        shard: u32,
        log: &mut LogFold,
        deliveries: &DeliveryBooks,
        through: u64,
        books: &mut Books,
    ) -> Result<(), BooksError> {
        for (&lane, routing) in &deliveries.lanes {
            let uncounted = log.stored_through(&self.centre, shard, lane, routing.uncounted_through).await?;
            books.add_routed(routing, uncounted);
            let to_match =
                log_fold::stored_between(&self.centre, shard, lane, routing.cursor, through).await?;
            books.add_to_match(&to_match);
            let to_match = to_match.0.values().sum();
            books.cut.lanes.push(LaneCut { shard, lane, routed: routing.cursor, to_match });
        }
        Ok(())
    }

    fn place<'a>(&'a self, shard: u32, region: &'a RegionStreams, feed: &'a Feed) -> Place<'a> {
        let (region, centre, shards) = (&region.context, &self.centre, self.shards.len());
        Place { region, centre, shard, shards, feed }
    }

    /// What a feed held up to and with `through`, for a purge to note before it happens; none if no message
    /// of it is behind what was noted before.
    ///
    /// # Errors
    /// If the region or the centre cannot be read.
    pub async fn accepted_through(
        &self,
        shard: u32,
        feed: &Feed,
        incarnation: &str,
        through: u64,
    ) -> Result<Option<EventCounts>, BooksError> {
        let Some(region) = self.regions.iter().find(|region| region.name.as_str() == feed.region) else {
            return Err(BooksError::Unknown);
        };
        let mut state = self.state.lock().await;
        let folds = state.folds.entry(shard).or_default();
        folds.log.advance(&self.centre, shard).await?;
        let cursor = folds.log.cursor(feed);
        if cursor.incarnation != incarnation {
            return Err(BooksError::Anew);
        }
        let fold = folds.regions.entry(feed.clone()).or_default();
        let place = self.place(shard, region, feed);
        Ok(fold.accepted_through(&place, &cursor, &folds.log, through).await?)
    }
}

async fn take_feed(
    shard: &ShardBooks,
    place: &Place<'_>,
    log: &LogFold,
    fold: &mut RegionFold,
    books: &mut Books,
) {
    let (context, feed) = (place.region, place.feed);
    let known = log.cursor(feed);
    let look = match context.client().connection_state() {
        Link::Connected => place.look().await,
        // Not worth a time-out.
        Link::Pending | Link::Disconnected => Err(ReadError::from(async_nats::Error::from("disconnected"))),
    };
    // A stream that began anew since the relay last looked holds nothing that is in the log yet.
    let anew = look.as_ref().ok().and_then(|look| next_incarnation(&known, &look.info));
    let cursor = anew.map_or(known, |incarnation| Cursor { incarnation, sequence: 0 });
    // What earlier incarnations of the stream held can only be known from the log.
    books.add_accepted(&log.of_earlier_incarnations(feed, &cursor.incarnation));
    let counted = match look {
        Ok(look) => fold.advance(place, &look, &cursor, log).await,
        Err(error) => Err(error),
    };
    match counted {
        Ok(count) => books.add_feed(shard.shard, feed, &cursor, &count),
        Err(error) => {
            tracing::debug!(region = feed.region, lane = %feed.lane, %error, "the books do without this feed");
            books.add_accepted(&log.of_incarnation(feed, &cursor.incarnation));
            books.add_unknown(feed, shard.progress.missed_since_us(feed));
        }
    }
}

/// Adds counts to a sum.
fn add_counts(sum: &mut EventCounts, more: &EventCounts) {
    for (source, count) in &more.0 {
        *sum.0.entry(source.clone()).or_default() += count;
    }
}

/// Why the books could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    /// A stream cannot be read now.
    #[error("a stream cannot be read: {0}")]
    Read(#[from] ReadError),
    /// The delivery index cannot be read.
    #[error("the delivery index cannot be read: {0}")]
    Deliveries(String),
    /// Regions are being purged, each time that they are counted.
    #[error("regions are being purged: try again")]
    Purging,
    /// The region's stream is another one by now.
    #[error("the region's stream began anew")]
    Anew,
    /// No such region.
    #[error("no such region")]
    Unknown,
}
