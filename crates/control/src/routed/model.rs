//! A model of routing: two relays over a real nats-server, and an actor who changes destinations, has events
//! stored and kills relays as a seed says. It holds the journal to one rule: an event that is stored after a
//! change was confirmed is matched by it. Bugs are planted, to see that the rule finds them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use floodgate_api::document::{DestinationDocument, read_json};
use floodgate_clock::Clock;
use floodgate_deliver::{DeliveryIndex, ForwardContext, ForwardMetrics};
use floodgate_egress::SsrfGuard;
use floodgate_event::proto::{
    self, Entry, Event, JournalBlock, LogBlock, Origin, Replica, Request, Verdict, log_block, record, verdict,
};
use floodgate_event::seal::OpeningKey;
use floodgate_event::{Lane, Name, format, subject};
use floodgate_routes::Gone;
use floodgate_stream::central::Noted;
use floodgate_stream::lease::Contender;
use floodgate_stream::placement::Centre;
use floodgate_stream::provision;
use prost::Message as _;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::planted::Planted;
use crate::tests::server::{self, Server};
use crate::{Control, ControlContext, ControlMetrics, Kind, Mode, Precondition, RegionKeys, Scope};

const SHARDS: u32 = 2;
const RELAYS: usize = 2;
const STEPS: usize = 24;
const DESTINATIONS: u64 = 4;
const TYPES: [&str; 3] = ["a", "b", "c"];
/// A type that no event has.
const NEVER: &str = "never";
/// A killed relay's lease lasts so long.
const LEASE: Duration = Duration::from_secs(2);
/// Until all that was stored is matched, after the last step.
const SETTLE: Duration = Duration::from_secs(60);
/// Matches every event; put last, so that it shows how far the journal has come.
const LAST: &str = "last";
const ANY: Precondition = Precondition { if_match: None, if_none_match: None };

/// Numbers from a seed ([SplitMix64](https://prng.di.unimi.it/splitmix64.c)).
struct Seed(u64);

impl Seed {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut next = self.0;
        next = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        next = (next ^ (next >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (next ^ (next >> 31)) % end
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
}

/// A relay, as far as routing goes, in a runtime of its own: dropping that is a crash.
struct Relay {
    runtime: Option<Runtime>,
    control: Control,
    shutdown: CancellationToken,
    _may_write: watch::Sender<bool>,
    _folder: TempDir,
}

impl Relay {
    async fn start(port: u16, key: OpeningKey, name: String, planted: Planted) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let shutdown = CancellationToken::new();
        let (may_write, writes) = watch::channel(false);
        let folder = tempfile::tempdir().unwrap();
        let (state, stop) = (folder.path().to_owned(), shutdown.clone());
        let started = runtime.spawn(async move {
            let centre = server::connect(port).await;
            let (disable, disabled) = mpsc::channel(8);
            let control = Control::start(ControlContext {
                centre: centre.clone(),
                regions: Vec::new(),
                region_keys: RegionKeys::default(),
                opening_key: key,
                shards: SHARDS,
                may_write: writes,
                check_command: Vec::new(),
                disable: disabled,
                guard: SsrfGuard::new(Vec::new()),
                clock: crate::tests::agreed_clock(),
                metrics: ControlMetrics::register(&prometheus::Registry::new()).unwrap(),
                planted,
                shutdown: stop.clone(),
            });
            let control = control.await.unwrap();
            for shard in 0..SHARDS {
                let index = Arc::new(DeliveryIndex::open(&state, shard).unwrap());
                let lease = centre.get_key_value(subject::LEASE_BUCKET).await.unwrap();
                let contender = Contender::new(lease, shard, name.clone(), LEASE);
                let term = Term {
                    centre: centre.clone(),
                    shard,
                    control: control.clone(),
                    name: name.clone(),
                    index,
                    disable: disable.clone(),
                };
                tokio::spawn(term.run(contender, stop.clone()));
            }
            control
        });
        let control = started.await.unwrap();
        Self { runtime: Some(runtime), control, shutdown, _may_write: may_write, _folder: folder }
    }

    /// Runs something inside; none if the relay was killed meanwhile.
    async fn inside<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        self.runtime.as_ref()?.spawn(work).await.ok()
    }

    fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Hands its leases over, so that another relay takes over at once.
    async fn stop(&mut self) {
        self.shutdown.cancel();
        let control = self.control.clone();
        self.inside(async move { control.stopped().await }).await;
        // The leases are handed back after the drain.
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.kill();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a relay needs to write one shard's journal.
struct Term {
    centre: Context,
    shard: u32,
    control: Control,
    name: String,
    index: Arc<DeliveryIndex>,
    disable: mpsc::Sender<Gone>,
}

impl Term {
    async fn run(self, contender: Contender, shutdown: CancellationToken) {
        while let Some(lease) = contender.acquire(&shutdown).await {
            let term = floodgate_deliver::run(ForwardContext {
                jetstream: self.centre.clone(),
                shard: self.shard,
                relay: self.name.clone(),
                lease: lease.clone(),
                routes: self.control.routes(),
                announcer: self.control.announcer(self.shard, self.name.clone()),
                clock: Clock::new(None),
                index: self.index.clone(),
                log: Noted::default(),
                disable: self.disable.clone(),
                guard: SsrfGuard::new(Vec::new()),
                max_held: 1_000,
                metrics: ForwardMetrics::register(&prometheus::Registry::new()).unwrap(),
                shutdown: shutdown.clone(),
            });
            term.await.unwrap();
            lease.give_up();
        }
    }
}

/// Which types a destination gets; nothing if it is not there or disabled. None where that is not certain.
type Wants = Option<BTreeSet<&'static str>>;

/// An event that is stored, and what was certain by then.
struct Stored {
    shard: u32,
    sequence: u64,
    event_type: &'static str,
    /// The latest revision that was confirmed.
    confirmed: u64,
    must: BTreeSet<String>,
    must_not: BTreeSet<String>,
}

/// A change of a destination.
struct Change {
    destination: String,
    /// How many events were stored before it began.
    after: usize,
    /// None if it is not known whether it was made.
    revision: Option<u64>,
}

/// What the journal says of a log block.
struct Match {
    revision: u64,
    destinations: BTreeSet<String>,
}

/// By shard and sequence in the log. Of blocks that nobody gets there need be none.
type Journal = BTreeMap<(u32, u64), Match>;

struct Model {
    seed: Seed,
    server: Server,
    centre: Context,
    key: OpeningKey,
    planted: Planted,
    relays: Vec<Relay>,
    started: usize,
    wants: BTreeMap<String, Wants>,
    stored: Vec<Stored>,
    changes: Vec<Change>,
    confirmed: u64,
}

impl Model {
    async fn begin(seed: u64, planted: Planted) -> Self {
        let server = Server::start(None).await;
        let centre = server.context().await;
        while provision::centre(&centre, SHARDS, Centre::default()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let wants = (0..DESTINATIONS).map(|number| (format!("d{number}"), Some(BTreeSet::new())));
        let mut model = Self {
            seed: Seed(seed),
            server,
            centre,
            key: OpeningKey::generate(),
            planted,
            relays: Vec::new(),
            started: 0,
            wants: wants.collect(),
            stored: Vec::new(),
            changes: Vec::new(),
            confirmed: 0,
        };
        for _ in 0..RELAYS {
            model.add_relay().await;
        }
        model
    }

    async fn add_relay(&mut self) {
        self.started += 1;
        // Some relays are slower with each change than a takeover takes.
        let open_delay = Duration::from_millis(self.seed.of(&[0, 20, 100, 1_500]));
        let planted = Planted { open_delay, ..self.planted };
        let name = format!("relay-{}", self.started);
        self.relays.push(Relay::start(self.server.port(), self.key.clone(), name, planted).await);
    }

    fn any_relay(&mut self) -> usize {
        usize::try_from(self.seed.below(RELAYS as u64)).unwrap()
    }

    async fn step(&mut self) {
        match self.seed.below(10) {
            0 => {
                let one = self.any_relay();
                let mut gone = self.relays.swap_remove(one);
                match self.seed.below(3) {
                    0 => gone.kill(),
                    _ => gone.stop().await,
                }
                self.store().await;
                self.add_relay().await;
            }
            1..=5 => self.change().await,
            _ => self.store().await,
        }
    }

    /// Changes a destination, and stores events while the change is under way and after it.
    async fn change(&mut self) {
        let name = format!("d{}", self.seed.below(DESTINATIONS));
        let types: BTreeSet<_> = TYPES.into_iter().filter(|_| self.seed.below(2) == 0).collect();
        let enabled = self.seed.below(5) > 0;
        let delete = self.seed.below(6) == 0;
        self.wants.insert(name.clone(), None);
        let asked = self.any_relay();
        let relay = &self.relays[asked];
        let (control, at): (_, Name) = (relay.control.clone(), name.parse().unwrap());
        let document = document(&types, enabled);
        let change = relay.runtime.as_ref().unwrap().spawn(async move {
            let made = match delete {
                true => control.delete(Kind::Destination, &at, &ANY).await,
                false => control.put_destination(&at, &document, Mode::Write, &ANY).await,
            };
            // If there was none to delete, nothing is known of what was before.
            let revision = made.ok()?.after.revision;
            Some((revision, control.in_force(revision, Scope::Routing).await))
        });
        let after = self.stored.len();
        self.store().await;
        if self.seed.below(8) == 0 {
            self.relays.swap_remove(asked).kill();
            self.add_relay().await;
        }
        let made = change.await.ok().flatten();
        let revision = made.map(|(revision, _)| revision);
        self.changes.push(Change { destination: name.clone(), after, revision });
        if let Some((revision, true)) = made {
            self.confirmed = self.confirmed.max(revision);
            // One that is disabled is matched too, and its deliveries wait.
            self.wants.insert(name, Some(if delete { BTreeSet::new() } else { types }));
        }
        self.store().await;
    }

    async fn store(&mut self) {
        for _ in 0..=self.seed.below(4) {
            let (shard, event_type) =
                (u32::try_from(self.seed.below(SHARDS.into())).unwrap(), self.seed.of(&TYPES));
            let certain = self.wants.iter().filter_map(|(name, wants)| Some((name, wants.as_ref()?)));
            let (must, must_not): (Vec<_>, Vec<_>) =
                certain.partition(|(_, wants)| wants.contains(event_type));
            let names = |wants: Vec<(&String, _)>| wants.into_iter().map(|(name, _)| name.clone()).collect();
            let (must, must_not) = (names(must), names(must_not));
            let sequence = append(&self.centre, shard, event_type).await;
            let confirmed = self.confirmed;
            self.stored.push(Stored { shard, sequence, event_type, confirmed, must, must_not });
        }
    }

    /// Waits until everything is matched. Answers with what breaks the rule.
    async fn violations(mut self) -> Vec<String> {
        let relay = &self.relays[0];
        let control = relay.control.clone();
        let settled = relay.inside(async move {
            let last: Name = LAST.parse().unwrap();
            let everything = document(&TYPES.into_iter().collect(), true);
            let put = control.put_destination(&last, &everything, Mode::Write, &ANY);
            let revision = put.await.unwrap().after.revision;
            while !control.in_force(revision, Scope::Routing).await {}
        });
        tokio::time::timeout(SETTLE, settled).await.expect("the last change comes into force");
        let mut ends = BTreeMap::new();
        for shard in 0..SHARDS {
            ends.insert(shard, append(&self.centre, shard, "a").await);
        }
        let journal = tokio::time::timeout(SETTLE, matched(&self.centre, &ends));
        let journal = journal.await.expect("everything that is stored is matched");
        let stored = self.stored.iter().enumerate();
        let broken =
            stored.flat_map(|(index, stored)| stored.check(index, &journal, &self.changes)).collect();
        for relay in &mut self.relays {
            relay.kill();
        }
        broken
    }
}

impl Stored {
    fn check(&self, index: usize, journal: &Journal, changes: &[Change]) -> Vec<String> {
        let Self { shard, sequence, event_type, confirmed, must, must_not } = self;
        let (none, own) = (BTreeSet::new(), journal.get(&(*shard, *sequence)));
        let got = own.map_or(&none, |matched| &matched.destinations);
        // Where there is none for the block itself, it was matched by no later revision than the next one.
        let Some((_, at_most)) = journal.range((*shard, *sequence)..).next() else { return Vec::new() };
        // What was changed again meanwhile may hold already.
        let settled = |name: &&String| {
            let mut later =
                changes.iter().filter(|change| change.after >= index && change.destination == **name);
            later.all(|change| change.revision.is_some_and(|revision| revision > at_most.revision))
        };
        let missed = must.difference(got).filter(settled).map(|name| format!("missed by {name}"));
        let strays = must_not.intersection(got).filter(settled).map(|name| format!("matched by {name}"));
        let stale = own.filter(|own| own.revision < *confirmed);
        let stale = stale.map(|own| format!("matched by revision {}, not {confirmed}", own.revision));
        let broken = missed.chain(strays).chain(stale);
        broken.map(|what| format!("{event_type} at {sequence} of shard {shard} was {what}")).collect()
    }
}

fn document(types: &BTreeSet<&str>, enabled: bool) -> DestinationDocument {
    // A subscription without types is one to all of them.
    let types: Vec<_> = if types.is_empty() { vec![NEVER] } else { types.iter().copied().collect() };
    let text = serde_json::json!({
        "url": "http://127.0.0.1:1/", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        "subscribe": {"types": types}, "enabled": enabled, "retry": {"schedule_seconds": [86_400]},
    });
    read_json(text.to_string().as_bytes()).unwrap()
}

async fn append(centre: &Context, shard: u32, event_type: &str) -> u64 {
    let id: [u8; 16] = rand::random();
    let event = Event {
        id: id.to_vec(),
        tenant: "default".into(),
        source: "s".into(),
        r#type: event_type.into(),
        body_hash: vec![0; 16],
        request: Some(Request::default()),
        ..Event::default()
    };
    let verdict = Verdict { event_id: id.to_vec(), kind: verdict::Kind::Stored.into(), ..Verdict::default() };
    let lane = proto::Lane::from(Lane::Standard).into();
    let replica = Replica {
        origin: Some(Origin { region: "eu".into(), lane, ..Origin::default() }),
        entries: vec![Entry { verdict: Some(verdict), event: Some(event) }],
        ..Replica::default()
    };
    let block = LogBlock {
        version: format::VERSION,
        id: id.to_vec(),
        writer: vec![0; 16],
        content: Some(log_block::Content::Replica(replica)),
        ..LogBlock::default()
    };
    let published = centre.publish(subject::log(shard, Lane::Standard), block.encode_to_vec().into()).await;
    published.unwrap().await.unwrap().sequence
}

/// Who gets the event of each log block, by shard and sequence, as the journal says
/// once it has come to these ends.
async fn matched(centre: &Context, ends: &BTreeMap<u32, u64>) -> Journal {
    let mut all = BTreeMap::new();
    for (&shard, &end) in ends {
        let stream = centre.get_stream(subject::journal_stream(shard)).await.unwrap();
        let mut sequence = 1;
        while !all.contains_key(&(shard, end)) {
            let Ok(message) = stream.get_raw_message(sequence).await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            sequence += 1;
            let block: JournalBlock = format::decode(message.payload).unwrap();
            for record in block.records {
                if let Some(record::Record::Matched(matched)) = record.record {
                    let destinations = matched.targets.into_iter().map(|target| target.destination).collect();
                    let (at, revision) = ((shard, matched.log_sequence), matched.config_revision);
                    all.insert(at, Match { revision, destinations });
                }
            }
        }
    }
    all
}

async fn play(seed: u64, planted: Planted) -> Vec<String> {
    let mut model = Model::begin(seed, planted).await;
    for _ in 0..STEPS {
        model.step().await;
    }
    assert!(model.confirmed > 0, "seed {seed} confirmed no change");
    model.violations().await
}

/// `FLOODGATE_SEEDS=7` plays that seed, `FLOODGATE_SEEDS=100..200` these.
fn seeds() -> Vec<u64> {
    let Ok(text) = std::env::var("FLOODGATE_SEEDS") else { return (0..3).collect() };
    let (from, to) = text.split_once("..").unwrap_or((&text, ""));
    let from = from.parse().unwrap();
    (from..to.parse().unwrap_or(from + 1)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_after_a_confirmed_change_is_matched_by_it() {
    for seed in seeds() {
        let violations = play(seed, Planted::default()).await;
        assert!(violations.is_empty(), "seed {seed}: {violations:#?}");
    }
}

/// The first of some seeds that finds a bug.
async fn found(planted: Planted) -> Option<u64> {
    for seed in 0..10 {
        if !play(seed, planted).await.is_empty() {
            return Some(seed);
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_confirmed_before_it_is_routed_by_is_found() {
    let planted = Planted { confirms_first: true, ..Planted::default() };
    assert!(found(planted).await.is_some(), "the planted bug was not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_that_routes_by_less_than_was_confirmed_is_found() {
    let planted = Planted { ignores_confirmed: true, ..Planted::default() };
    assert!(found(planted).await.is_some(), "the planted bug was not found");
}
