//! The books: what came in, and what became of it, folded from the streams at one cut.
//!
//! `accepted` is counted in the regional streams, verdicts in the central log, `in_transit` behind the cursor; no term
//! is computed from the others, so a message that goes missing shows as a difference.

mod log_fold;
mod region_fold;
mod sheet;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_nats::connection::State;
use async_nats::jetstream::Context;
use floodgate_event::block::EventCounts;
use floodgate_event::{Lane, Name};
use tokio::sync::Mutex;

use self::log_fold::LogFold;
use self::region_fold::{Place, RegionFold};
pub use self::sheet::{Books, CutSheet, Deliveries, Events, FeedCut, LogCut, SourceBooks, Unknown};
use crate::dedup::ledger::{Cursor, Cut, Feed, Ledger};
use crate::forward::DeliveryIndex;
use crate::progress::Progress;
use crate::reader::ReadError;
use crate::replicate::feed::next_incarnation;

/// Messages that a fold takes at a time.
const STEP: u64 = 50_000;

/// A region as the books see it.
#[derive(Clone)]
pub struct RegionStreams {
    /// Its name.
    pub name: Name,
    /// Its JetStream.
    pub context: Context,
}

/// What a shard's books are folded from.
#[derive(Clone)]
pub struct ShardBooks {
    /// The shard.
    pub shard: u32,
    /// Its ledger, for the cut.
    pub ledger: Arc<Ledger>,
    /// Its deliveries.
    pub deliveries: Arc<DeliveryIndex>,
    /// Since when its feeds are out of reach.
    pub progress: Progress,
}

/// Takes the books. Folds are kept between calls, and thrown away when a stream lost a message within what they cover.
pub struct Bookkeeper {
    centre: Context,
    regions: Vec<RegionStreams>,
    shards: Vec<ShardBooks>,
    folds: Mutex<BTreeMap<u32, Folds>>,
}

#[derive(Default)]
struct Folds {
    log: LogFold,
    regions: BTreeMap<Feed, RegionFold>,
}

impl Bookkeeper {
    /// Keeps the books of these shards and regions.
    pub fn new(centre: Context, regions: Vec<RegionStreams>, shards: Vec<ShardBooks>) -> Self {
        Self { centre, regions, shards, folds: Mutex::default() }
    }

    /// Takes the books now.
    ///
    /// # Errors
    /// If the centre's streams cannot be read. A region out of reach is no error: it is listed as unknown.
    pub async fn take(&self) -> Result<Books, BooksError> {
        let mut folds = self.folds.lock().await;
        let mut books = Books::default();
        for shard in &self.shards {
            let folds = folds.entry(shard.shard).or_default();
            self.take_shard(shard, folds, &mut books).await?;
        }
        books.close();
        Ok(books)
    }

    async fn take_shard(
        &self,
        shard: &ShardBooks,
        folds: &mut Folds,
        books: &mut Books,
    ) -> Result<(), BooksError> {
        let cut = shard.ledger.cut();
        let through = cut.checkpoint.map_or(0, |checkpoint| checkpoint.sequence);
        folds.log.advance(&self.centre, shard.shard, through).await?;
        books.add_verdicts(&folds.log);
        books.cut.log.push(LogCut { shard: shard.shard, sequence: through });
        for region in &self.regions {
            for lane in Lane::ALL {
                let feed = Feed { region: region.name.to_string(), lane };
                let fold = folds.regions.entry(feed.clone()).or_default();
                let place = self.place(shard.shard, region, &feed);
                take_feed(shard, &place, &cut, &folds.log, fold, books).await;
            }
        }
        // What regions held that were removed since is all in the log: they are drained first.
        books.add_accepted(&folds.log.of_other_regions(&self.regions));
        let totals = tokio::task::block_in_place(|| shard.deliveries.totals());
        let totals = totals.map_err(|error| BooksError::Deliveries(error.to_string()))?;
        books.add_deliveries(shard.shard, &totals);
        Ok(())
    }

    fn place<'a>(&'a self, shard: u32, region: &'a RegionStreams, feed: &'a Feed) -> Place<'a> {
        let (region, centre, shards) = (&region.context, &self.centre, self.shards.len());
        Place { region, centre, shard, shards, feed }
    }

    /// What a feed held up to and with `through`, for a purge to note before it happens.
    ///
    /// # Errors
    /// If the region or the centre cannot be read.
    pub async fn accepted_through(
        &self,
        shard: u32,
        feed: &Feed,
        through: u64,
    ) -> Result<EventCounts, BooksError> {
        let Some(books) = self.shards.iter().find(|books| books.shard == shard) else {
            return Err(BooksError::Unknown);
        };
        let Some(region) = self.regions.iter().find(|region| region.name.as_str() == feed.region) else {
            return Err(BooksError::Unknown);
        };
        let cut = books.ledger.cut();
        let mut folds = self.folds.lock().await;
        let log = &mut folds.entry(shard).or_default().log;
        log.advance(&self.centre, shard, cut.checkpoint.map_or(0, |checkpoint| checkpoint.sequence)).await?;
        let cursor = cut.cursors.get(feed).cloned().unwrap_or_default();
        let purge = log.purge(feed, &cursor.incarnation);
        Ok(region_fold::accepted(&self.place(shard, region, feed), &cursor, purge, through).await?)
    }
}

async fn take_feed(
    shard: &ShardBooks,
    place: &Place<'_>,
    cut: &Cut,
    log: &LogFold,
    fold: &mut RegionFold,
    books: &mut Books,
) {
    let (context, feed) = (place.region, place.feed);
    let known = cut.cursors.get(feed).cloned().unwrap_or_default();
    let info = match context.client().connection_state() {
        State::Connected => region_fold::look(context, feed).await,
        // Not worth a time-out.
        State::Pending | State::Disconnected => Err(ReadError::from(async_nats::Error::from("disconnected"))),
    };
    // A stream that began anew since the relay last looked holds nothing that is in the log yet.
    let anew = info.as_ref().ok().and_then(|info| next_incarnation(&known, info));
    let cursor = anew.map_or(known, |incarnation| Cursor { incarnation, sequence: 0 });
    // What earlier incarnations of the stream held can only be known from the log.
    books.add_accepted(&log.of_earlier_incarnations(feed, &cursor.incarnation));
    let counted = match info {
        Ok(info) => {
            let purge = log.purge(feed, &cursor.incarnation);
            fold.advance(place, &info, &cursor, purge).await
        }
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

/// Why the books could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    /// A stream cannot be read now.
    #[error("a stream cannot be read: {0}")]
    Read(#[from] ReadError),
    /// The delivery index cannot be read.
    #[error("the delivery index cannot be read: {0}")]
    Deliveries(String),
    /// No such shard or region.
    #[error("no such shard or region")]
    Unknown,
}
