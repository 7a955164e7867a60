//! A nats-server that is the centre and the region `eu` at once, and relays in this process.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use floodgate_clock::Clock;
use floodgate_event::block::{Destination, EncodedEvent, SealedBlock};
use floodgate_event::proto::{Event, KeyKind, LogBlock, Request};
use floodgate_event::{EventId, Lane, LogRate, ShardCount, ShardId, format, subject};
use floodgate_replicate::cursor::RegionLane;
use floodgate_replicate::dedup::ledger::Ledger;
use floodgate_replicate::forget::Forgetter;
use floodgate_replicate::log::{ShardLog, WriteError};
use floodgate_replicate::metrics::ReplicationMetrics;
use floodgate_replicate::progress::RegionProgress;
use floodgate_replicate::region_reader::RegionReader;
use floodgate_replicate::room::Room;
use floodgate_replicate::writer::{Work, Writer};
use floodgate_stream::append::AppendError;
use floodgate_stream::connect::jetstream;
use floodgate_stream::lease::{Contender, Lease};
use floodgate_stream::placement::{Centre, Placement};
use floodgate_stream::provision::{self, ProvisionError};
use floodgate_stream::reader::StreamReader;
use floodgate_testkit::Failure;
use floodgate_testkit::nats::{Server, Setup};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

pub(crate) type Result<T = ()> = floodgate_testkit::Result<T>;

pub(crate) const SHARD: ShardId = ShardId::FIRST;
pub(crate) const LEASE: Duration = Duration::from_secs(5);
/// How often a test checks a condition that it waits for.
pub(crate) const LOOK: Duration = Duration::from_millis(5);
/// How long it waits. Only a test that has failed waits for so long.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Site {
    pub(crate) context: Context,
    _server: Server,
}

impl Site {
    /// Returns `None` and prints a line that says so if there is no nats-server.
    pub(crate) async fn start(test: &str, shards: u32) -> Result<Option<Self>> {
        let server = match Setup::default().start() {
            Err(failure) if failure.is_missing() => {
                println!("SKIPPED: {test}: no nats-server");
                return Ok(None);
            }
            started => started?,
        };
        let context = jetstream(&server.context().await?.client());
        let shards = ShardCount::try_from(shards)?;
        // A server that has just started may refuse at first. The relay retries too.
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while let Err(error) = provision(&context, shards).await {
            if tokio::time::Instant::now() > deadline {
                return Err(error.into());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(Some(Self { context, _server: server }))
    }

    /// Creates the streams and buckets that do not exist.
    pub(crate) async fn provision(&self, shards: u32) -> Result {
        Ok(provision(&self.context, ShardCount::try_from(shards)?).await?)
    }

    /// Publishes events with these numbers as one block, and returns its sequence.
    pub(crate) async fn publish(&self, lane: Lane, shard: ShardId, numbers: &[u64]) -> Result<u64> {
        let destination = Destination { region: "eu".parse()?, lane, shard, gateway: "eu-1".to_owned() };
        let source: floodgate_event::Name = "orders".parse()?;
        let events: Vec<_> =
            numbers.iter().map(|&number| EncodedEvent::new(source.clone(), &event(number))).collect();
        let block = SealedBlock::join(events.iter(), &destination, SystemTime::now());
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", block.id.to_string());
        headers.insert(subject::EVENTS_HEADER, block.sources.to_string());
        let subject = subject::regional(lane, shard);
        Ok(self.context.publish_with_headers(subject, headers, block.payload).await?.await?.sequence)
    }

    /// Every block of the log, from a sequence on.
    pub(crate) async fn log(&self, from: u64) -> Result<Vec<LogBlock>> {
        let (stream, filter) = (subject::log_stream(SHARD), subject::log_wildcard(SHARD));
        let last = self.context.get_stream(&stream).await?.cached_info().state.last_sequence;
        let mut blocks = Vec::new();
        let reader = StreamReader::new(self.context.clone(), stream, filter, from);
        reader.scan(last, |message| blocks.push(format::decode::<LogBlock>(message.payload.clone()))).await?;
        Ok(blocks.into_iter().collect::<std::result::Result<_, _>>()?)
    }

    pub(crate) async fn contender(&self, holder: &str) -> Result<Contender> {
        let store = self.context.get_key_value(subject::LEASE_BUCKET).await?;
        Ok(Contender::new(store, SHARD, holder.to_owned(), LEASE))
    }
}

async fn provision(context: &Context, shards: ShardCount) -> std::result::Result<(), ProvisionError> {
    provision::centre(context, shards, Centre::default()).await?;
    provision::region(context, Placement::default()).await
}

pub(crate) fn id(number: u64) -> EventId {
    EventId::from_provider_id("default", "orders", &format!("msg_{number}"))
}

fn event(number: u64) -> Event {
    Event {
        id: id(number).as_bytes().to_vec(),
        key_kind: KeyKind::Id.into(),
        tenant: "default".to_owned(),
        source: "orders".to_owned(),
        lane: floodgate_event::proto::Lane::Standard.into(),
        region: "eu".to_owned(),
        body_hash: vec![0; 16],
        request: Some(Request { raw: Some(b"{}".as_slice().into()), ..Request::default() }),
        ..Event::default()
    }
}

pub(crate) fn feed(lane: Lane) -> RegionLane {
    RegionLane { region: "eu".to_owned(), lane }
}

/// A relay that follows the log or writes it.
pub(crate) struct Relay {
    pub(crate) name: &'static str,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) folder: TempDir,
    pub(crate) clock: Clock,
    pub(crate) progress: RegionProgress,
    context: Context,
    following: Option<JoinHandle<()>>,
    term: Option<Term>,
}

/// The lease and the tasks of a relay while it writes.
struct Term {
    lease: Lease,
    writer: JoinHandle<()>,
    readers: JoinSet<()>,
    work: mpsc::Sender<Work>,
}

impl Relay {
    /// Makes a relay that follows the log.
    pub(crate) fn start(site: &Site, name: &'static str, clock: Clock) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let ledger = Arc::new(Ledger::open(folder.path())?);
        let (context, progress) = (site.context.clone(), RegionProgress::new(clock.clone()));
        let mut relay = Self { name, ledger, folder, clock, progress, context, following: None, term: None };
        relay.follow();
        Ok(relay)
    }

    fn follow(&mut self) {
        let log = self.log();
        self.following = Some(tokio::spawn(async move {
            // It ends with an error once a relay is dropped together with its folder.
            let _ = log.follow().await;
        }));
    }

    fn log(&self) -> ShardLog {
        let (centre, ledger, clock) = (self.context.clone(), Arc::clone(&self.ledger), self.clock.clone());
        ShardLog { centre, shard: SHARD, ledger, clock }
    }

    /// Takes the lease, and writes from then on. Calls `until_agreed` until the relay knows the time.
    pub(crate) async fn write(&mut self, site: &Site, until_agreed: impl Fn()) -> Result {
        let contender = site.contender(self.name).await?;
        let lease =
            contender.acquire(&CancellationToken::new()).await.ok_or_else(|| Failure::new("no lease"))?;
        if let Some(following) = self.following.take() {
            following.abort();
            // Two tasks must not fold at once.
            let _ = following.await;
        }
        while !self.clock.is_agreed() {
            until_agreed();
        }
        let taken = self.log().take_over(&lease, self.name).await?;
        let metrics = ReplicationMetrics::register(&prometheus::Registry::new())?;
        let (work, inbox) = mpsc::channel(16);
        let mut readers = JoinSet::new();
        for lane in Lane::ALL {
            readers.spawn(self.reader(lane, ShardCount::ONE, work.clone(), metrics.clone()).run());
        }
        let writer = Writer::new(&self.log(), lease.clone(), taken, metrics);
        let writer = tokio::spawn(async move {
            match writer.run(inbox).await {
                // The relay follows again, as a shard does.
                Ok(()) | Err(WriteError::Append(AppendError::Superseded)) => {}
                Err(error) => panic!("{error}"),
            }
        });
        self.term = Some(Term { lease, writer, readers, work });
        Ok(())
    }

    pub(crate) fn reader(
        &self,
        lane: Lane,
        shards: ShardCount,
        writer: mpsc::Sender<Work>,
        metrics: ReplicationMetrics,
    ) -> RegionReader {
        RegionReader {
            region: self.context.clone(),
            log: self.log(),
            shards,
            feed: feed(lane),
            cursor: self.ledger.cut().cursors.remove(&feed(lane)).unwrap_or_default(),
            writer,
            room: Room::new(),
            progress: self.progress.clone(),
            look_every: Duration::from_millis(20),
            metrics,
            lines: LogRate::new(),
        }
    }

    /// Gives the lease back, and follows again.
    pub(crate) async fn stand_down(&mut self) -> Result {
        if let Some(mut term) = self.term.take() {
            term.lease.give_up();
            term.readers.shutdown().await;
            term.writer.await?;
            self.follow();
        }
        Ok(())
    }

    /// Makes the ledger forget the days that it can forget now, as the relay does every ten minutes. Returns
    /// the first day that is kept, if any was forgotten.
    pub(crate) async fn forget(&self, window_days: u32) -> Result<Option<u32>> {
        let term = self.term.as_ref().ok_or_else(|| Failure::new("it does not write"))?;
        let forgetter = Forgetter {
            log: self.log(),
            progress: self.progress.clone(),
            feeds: Lane::ALL.map(feed).to_vec(),
            window_days,
            writer: term.work.clone(),
        };
        let due = forgetter.due();
        if let Some(before_day) = due {
            term.work.send(Work::Forget { before_day }).await?;
        }
        Ok(due)
    }

    /// Returns true if the region is in the log up to this sequence.
    pub(crate) fn has_replicated(&self, lane: Lane, sequence: u64) -> bool {
        self.ledger.cut().cursors.get(&feed(lane)).is_some_and(|cursor| cursor.sequence >= sequence)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.following.take().inspect(JoinHandle::abort);
    }
}

/// Waits for a condition that becomes true by itself.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) -> Result {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds() {
        if tokio::time::Instant::now() > deadline {
            return Err(Failure::new(format!("waited in vain for {what}")));
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
