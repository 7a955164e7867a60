//! A model of routing: two relays over a real nats-server, and an actor who changes destinations, has events
//! stored and kills relays as a seed says. It holds the journal to one rule: an event that is stored after a
//! change was confirmed is matched by it. Bugs are injected, to see that the rule finds them.

mod journal;
mod relay;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_nats::jetstream::Context;
use floodgate_api::document::{DestinationDocument, read_json};
use floodgate_event::seal::OpeningKey;
use floodgate_event::{Name, ShardCount, ShardId};
use floodgate_stream::placement::Centre;
use floodgate_stream::provision;

use self::journal::{Stored, append, matched};
use self::relay::Relay;
use crate::fault_injection::Faults;
use crate::tests::server::Server;
use crate::{Kind, Mode, Precondition, Scope};

const SHARDS: ShardCount = ShardCount::new(2).unwrap();
const RELAYS: usize = 2;
const STEPS: usize = 24;
const DESTINATIONS: u64 = 4;
const TYPES: [&str; 3] = ["a", "b", "c"];
/// A type that no event has.
const NEVER: &str = "never";
/// How long it may take after the last step until everything stored is matched.
const SETTLE: Duration = Duration::from_secs(60);
/// A destination that matches every event. It is put last, and shows how far the journal has come.
const LAST: &str = "last";
const ANY: Precondition = Precondition { if_match: None, if_none_match: None };

/// The types that a destination gets: none if it is not there. `None` while that is not certain.
type Wants = Option<BTreeSet<&'static str>>;

/// A change of a destination.
struct Change {
    destination: String,
    /// How many events were stored before it began.
    after: usize,
    /// `None` if it is not known whether the change was made.
    revision: Option<u64>,
}

struct Model {
    seed: Seed,
    server: Server,
    centre: Context,
    key: OpeningKey,
    faults: Faults,
    relays: Vec<Relay>,
    started: usize,
    wants: BTreeMap<String, Wants>,
    stored: Vec<Stored>,
    changes: Vec<Change>,
    confirmed: u64,
}

impl Model {
    async fn begin(seed: u64, faults: Faults) -> Self {
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
            faults,
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
        let faults = Faults { open_delay, ..self.faults };
        let name = format!("relay-{}", self.started);
        self.relays.push(Relay::start(self.server.port(), self.key.clone(), name, faults).await);
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
            Some((revision, control.wait_until_propagated(revision, Scope::Routing).await))
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
            let (shard, event_type) = (
                ShardId::new(u32::try_from(self.seed.below(SHARDS.get().into())).unwrap()),
                self.seed.of(&TYPES),
            );
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

    /// Waits until everything is matched. Returns what breaks the rule.
    async fn violations(mut self) -> Vec<String> {
        let relay = &self.relays[0];
        let control = relay.control.clone();
        let settled = relay.inside(async move {
            let last: Name = LAST.parse().unwrap();
            let everything = document(&TYPES.into_iter().collect(), true);
            let put = control.put_destination(&last, &everything, Mode::Write, &ANY);
            let revision = put.await.unwrap().after.revision;
            while !control.wait_until_propagated(revision, Scope::Routing).await {}
        });
        tokio::time::timeout(SETTLE, settled).await.expect("the last change comes into force");
        let mut ends = BTreeMap::new();
        for shard in SHARDS.ids() {
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

fn document(types: &BTreeSet<&str>, enabled: bool) -> DestinationDocument {
    // A subscription without types is one to all of them.
    let types: Vec<_> = if types.is_empty() { vec![NEVER] } else { types.iter().copied().collect() };
    let text = serde_json::json!({
        "url": "http://127.0.0.1:1/", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        "subscribe": {"types": types}, "enabled": enabled, "retry": {"schedule_seconds": [86_400]},
    });
    read_json(text.to_string().as_bytes()).unwrap()
}

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

async fn play(seed: u64, faults: Faults) -> Vec<String> {
    let mut model = Model::begin(seed, faults).await;
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
        let violations = play(seed, Faults::default()).await;
        assert!(violations.is_empty(), "seed {seed}: {violations:#?}");
    }
}

/// The first of some seeds that finds a bug.
async fn found(faults: Faults) -> Option<u64> {
    for seed in 0..10 {
        if !play(seed, faults).await.is_empty() {
            return Some(seed);
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_confirmed_before_it_is_routed_by_is_found() {
    let faults = Faults { confirms_first: true, ..Faults::default() };
    assert!(found(faults).await.is_some(), "the injected bug was not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_that_routes_by_less_than_was_confirmed_is_found() {
    let faults = Faults { ignores_confirmed: true, ..Faults::default() };
    assert!(found(faults).await.is_some(), "the injected bug was not found");
}
