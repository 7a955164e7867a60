//! The books compare what regions accepted with what became of it. They are folded from the streams, up to
//! one cut.
//!
//! `accepted` is counted in the regional streams, and `in_transit` behind the cursor there. Verdicts are
//! counted in the central log. How stored events were routed is counted in the journal, and `to_match` behind
//! its cursor in the log. No term is computed from the others, so a message that goes missing shows as a
//! difference.

mod log_fold;
mod region_fold;
mod sheet;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_nats::connection::State as ConnectionState;
use async_nats::jetstream::Context;
use floodgate_api::books::Books;
use floodgate_event::block::EventCounts;
use floodgate_event::{Lane, Name, ShardId};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use self::log_fold::LogFold;
use self::region_fold::{Place, RegionFold};

use self::sheet::Sheet;
use crate::cursor::{Cursor, RegionLane};
use crate::dedup::ledger::Ledger;
use crate::incarnation::next_incarnation;
use crate::progress::RegionProgress;
use floodgate_event::deliveries::DeliveryBooks;
use floodgate_stream::RegionConnection;
use floodgate_stream::reader::ReadError;

/// How many messages a fold reads before it keeps what it has.
const STEP: u64 = 50_000;
/// How often a shard is counted again because a purge came in between, and the pause before that.
const PURGE_TRIES: u32 = 5;
const PURGE_PAUSE: Duration = Duration::from_millis(100);

/// Counts a shard's deliveries, or says why they cannot be counted. It reads the disk.
pub type CountDeliveries = Arc<dyn Fn() -> Result<DeliveryBooks, String> + Send + Sync>;

/// What a shard's books are folded from.
#[derive(Clone)]
pub struct ShardBooks {
    /// The shard whose books these are.
    pub shard: ShardId,
    /// The shard's ledger, in which events are found by their id.
    pub ledger: Arc<Ledger>,
    /// Counts the shard's deliveries in the index on this host.
    pub deliveries: CountDeliveries,
    /// Since when each region is out of reach.
    pub progress: RegionProgress,
}

/// Takes the books. It keeps its folds between calls, and begins one anew if the stream lost a message that
/// the fold has counted.
pub struct Bookkeeper {
    centre: Context,
    regions: Vec<RegionConnection>,
    shards: Vec<ShardBooks>,
    state: Mutex<State>,
}

/// When a source last had an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LastEvent {
    /// The log has no event of the source.
    Never,
    /// The last event arrived at this time, by the clock of the centre's NATS.
    At(SystemTime),
    /// An event is on its way, and not in the log yet.
    InTransit,
    /// This region cannot be reached, so its last event is not known.
    Unknown(String),
}

#[derive(Default)]
struct State {
    folds: BTreeMap<ShardId, Folds>,
    /// The books that were taken last, and when the reading began.
    last: Option<(Instant, Taken)>,
}

/// The books, or the reason why they could not be taken, shared by all who waited for them.
type Taken = Result<Arc<Books>, Arc<BooksError>>;

#[derive(Default)]
struct Folds {
    log: LogFold,
    regions: BTreeMap<RegionLane, RegionFold>,
}

impl Bookkeeper {
    /// Makes a bookkeeper for these shards and regions, without any folds yet.
    pub fn new(centre: Context, regions: Vec<RegionConnection>, shards: Vec<ShardBooks>) -> Self {
        Self { centre, regions, shards, state: Mutex::default() }
    }

    /// Counts the streams now, and returns the books. Only one caller at a time reads the streams. Callers
    /// that arrive meanwhile wait, and share the next result.
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

    /// The number of shards.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Finds out when a source last had an event, in any region and shard.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub async fn last_event(&self, source: &Name) -> Result<LastEvent, Arc<BooksError>> {
        let books = self.take().await?;
        if let Some(unknown) = books.unknown.first() {
            return Ok(LastEvent::Unknown(unknown.region.clone()));
        }
        if books.sources.get(source.as_str()).is_some_and(|source| source.events.in_transit > 0) {
            return Ok(LastEvent::InTransit);
        }
        let state = self.state.lock().await;
        let last = state.folds.values().filter_map(|folds| folds.log.last_of(source)).max();
        Ok(last.map_or(LastEvent::Never, LastEvent::At))
    }

    async fn fold(&self, folds: &mut BTreeMap<ShardId, Folds>) -> Result<Books, BooksError> {
        let mut sheet = Sheet::default();
        for shard in &self.shards {
            let folds = folds.entry(shard.shard).or_default();
            sheet.append(self.take_shard(shard, folds).await?);
        }
        Ok(sheet.close())
    }

    /// Takes a shard's books. If a purge happened between reading the log and reading its region, its events
    /// would be missing from both. The log notes a purge before it happens, so a new note shows that this may
    /// be the case.
    async fn take_shard(&self, shard: &ShardBooks, folds: &mut Folds) -> Result<Sheet, BooksError> {
        for tries in 1.. {
            let (sheet, through) = self.try_shard(shard, folds).await?;
            if log_fold::last_control(&self.centre, shard.shard).await? <= through {
                return Ok(sheet);
            }
            if tries == PURGE_TRIES {
                break;
            }
            sleep(PURGE_PAUSE).await;
        }
        Err(BooksError::Purging)
    }

    /// Counts once. Also returns the end of the log up to which it counted.
    async fn try_shard(&self, shard: &ShardBooks, folds: &mut Folds) -> Result<(Sheet, u64), BooksError> {
        // Before the log: what the journal has routed by now is in the log that is read after it.
        let deliveries = tokio::task::block_in_place(|| (shard.deliveries)());
        let deliveries = deliveries.map_err(BooksError::Deliveries)?;
        let mut sheet = Sheet::default();
        let through = folds.log.advance(&self.centre, shard.shard).await?;
        sheet.add_verdicts(&folds.log);
        sheet.cut_log(shard.shard, through);
        for region in &self.regions {
            for lane in Lane::ALL {
                let feed = RegionLane { region: region.name.to_string(), lane };
                let fold = folds.regions.entry(feed.clone()).or_default();
                let place = self.place(shard.shard, region, &feed);
                take_feed(shard, &place, &folds.log, fold, &mut sheet).await;
            }
        }
        // A region is drained before it is removed, so everything that it held is in the log.
        sheet.add_accepted(&folds.log.of_other_regions(&self.regions));
        self.add_routing(shard.shard, &mut folds.log, &deliveries, through, &mut sheet).await?;
        sheet.add_deliveries(shard.shard, &deliveries);
        Ok((sheet, through))
    }

    /// Adds what became of stored events: up to each lane's cursor from the journal, and behind it from the
    /// log.
    async fn add_routing(
        &self,
        shard: ShardId,
        log: &mut LogFold,
        deliveries: &DeliveryBooks,
        through: u64,
        sheet: &mut Sheet,
    ) -> Result<(), BooksError> {
        for (&lane, routing) in &deliveries.lanes {
            let uncounted = log.stored_through(&self.centre, shard, lane, routing.uncounted_through).await?;
            sheet.add_routed(routing, uncounted);
            let to_match =
                log_fold::stored_between(&self.centre, shard, lane, routing.cursor, through).await?;
            sheet.add_to_match(&to_match);
            let to_match = to_match.0.values().sum();
            sheet.cut_lane(shard, lane, routing.cursor, to_match);
        }
        Ok(())
    }

    fn place<'a>(&'a self, shard: ShardId, region: &'a RegionConnection, feed: &'a RegionLane) -> Place<'a> {
        let (region, centre, shards) = (&region.context, &self.centre, self.shards.len());
        Place { region, centre, shard, shards, feed }
    }

    /// Counts the events that a feed held up to and including `through`, so that a purge can be noted before
    /// it happens. None if the feed has no messages beyond what was noted before.
    ///
    /// # Errors
    /// If the region or the centre cannot be read.
    pub async fn accepted_through(
        &self,
        shard: ShardId,
        feed: &RegionLane,
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
    sheet: &mut Sheet,
) {
    let (context, feed) = (place.region, place.feed);
    let known = log.cursor(feed);
    let look = match context.client().connection_state() {
        ConnectionState::Connected => place.look().await,
        // A request would only wait until it times out.
        ConnectionState::Pending | ConnectionState::Disconnected => {
            Err(ReadError::from(async_nats::Error::from("disconnected")))
        }
    };
    // If the stream began anew since the relay last looked, nothing that it holds is in the log yet.
    let anew = look.as_ref().ok().and_then(|look| next_incarnation(&known, &look.info));
    let cursor = anew.map_or(known, |incarnation| Cursor { incarnation, sequence: 0 });
    // The earlier incarnations of the stream are gone, so only the log knows what they held.
    sheet.add_accepted(&log.of_earlier_incarnations(feed, &cursor.incarnation));
    let counted = match look {
        Ok(look) => fold.advance(place, &look, &cursor, log).await,
        Err(error) => Err(error),
    };
    match counted {
        Ok(count) => sheet.add_feed(shard.shard, feed, &cursor, &count),
        Err(error) => {
            tracing::debug!(region = feed.region, lane = %feed.lane, %error, "the books do without this feed");
            sheet.add_accepted(&log.of_incarnation(feed, &cursor.incarnation));
            sheet.add_unknown(feed, shard.progress.missed_since_us(feed));
        }
    }
}

/// Adds counts to a sum.
fn add_counts(sum: &mut EventCounts, more: &EventCounts) {
    for (source, count) in &more.0 {
        sum.add(source, *count);
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
    /// A purge came in between each time that the shard was counted.
    #[error("regions are being purged: try again")]
    Purging,
    /// The region's stream has begun anew meanwhile.
    #[error("the region's stream began anew")]
    Anew,
    /// The relay has no region of this name.
    #[error("no such region")]
    Unknown,
}
