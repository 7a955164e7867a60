//! Clocks jump, forward and back, one at a time, while events and second copies of them arrive and relays
//! take over from each other. Whatever the clocks show, nothing is stored twice within the window, and the
//! log's time is right.
//!
//! The faults come from a seed, which a failure names. `FLOODGATE_CLOCK_SEED` plays it again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use floodgate_event::Lane;
use floodgate_event::proto::log_block::Content;
use floodgate_event::proto::verdict::Kind;
use floodgate_testkit::Failure;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::site::{Relay, Result, SHARD, Site, id, until};
use super::world::{DAY, MOST_OFF, SECOND, STEP, World};

const WINDOW_DAYS: u32 = 2;
const ROUNDS: usize = 60;
/// How far a clock jumps.
const JUMPS: [i64; 10] = [
    400 * DAY,
    9 * DAY,
    3 * DAY,
    2 * 3_600 * SECOND,
    15 * SECOND,
    -15 * SECOND,
    -2 * 3_600 * SECOND,
    -3 * DAY,
    -9 * DAY,
    -400 * DAY,
];
const SEEDS: [u64; 2] = [1, 2];

/// Counts what happened, to print what was not exercised.
#[derive(Debug, Default)]
struct Tried {
    jumps: usize,
    takeovers: usize,
    restarts: usize,
    forgotten: usize,
    copies: usize,
}

struct Campaign {
    site: Site,
    world: Arc<World>,
    rng: StdRng,
    /// The relays. The first one writes.
    relays: [Relay; 2],
    /// The true time at which each event was first accepted.
    accepted: BTreeMap<u64, u64>,
    /// How many blocks of the log were checked.
    seen: u64,
    tried: Tried,
}

impl Campaign {
    async fn start(site: Site, seed: u64) -> Result<Self> {
        let world = World::new(&["eu", "us"]);
        let relay = |name| {
            let clock = world.clock();
            world.answer(&clock);
            Relay::start(&site, name, clock)
        };
        let mut relays = [relay("relay-1")?, relay("relay-2")?];
        let clock = relays[0].clock.clone();
        relays[0].write(&site, || world.answer(&clock)).await?;
        let rng = StdRng::seed_from_u64(seed);
        Ok(Self { site, world, rng, relays, accepted: BTreeMap::new(), seen: 0, tried: Tried::default() })
    }

    /// Lets time pass, for both relays.
    fn pass(&self, steps: u32) {
        for _ in 0..steps {
            self.world.pass(STEP);
            self.relays.iter().for_each(|relay| self.world.answer(&relay.clock));
        }
    }

    async fn round(&mut self) -> Result {
        self.jump();
        let hours = *[0, 0, 1, 5, 12, 30].choose(&mut self.rng).ok_or_else(|| Failure::new("no hours"))?;
        let steps = hours * 720 + self.rng.random_range(0..20);
        self.pass(steps);
        match self.rng.random_range(0..6) {
            0 => self.take_over().await?,
            1 => self.restart()?,
            _ => {}
        }
        self.send().await?;
        self.look().await?;
        let due = self.relays[0].forget(WINDOW_DAYS).await?;
        self.tried.forgotten += usize::from(due.is_some());
        Ok(())
    }

    /// Makes one clock jump, or corrects it. The clock that was off before is corrected first.
    fn jump(&mut self) {
        if self.rng.random_bool(0.5) {
            let clocks = self.world.clocks();
            clocks.iter().for_each(|who| self.world.set(who, 0));
            if self.rng.random_bool(0.7)
                && let (Some(who), Some(by_us)) = (clocks.choose(&mut self.rng), JUMPS.choose(&mut self.rng))
            {
                self.world.set(who, *by_us);
                self.tried.jumps += 1;
            }
        }
    }

    /// Makes the other relay take over.
    async fn take_over(&mut self) -> Result {
        self.relays[0].stand_down().await?;
        self.relays.swap(0, 1);
        let (world, clock) = (Arc::clone(&self.world), self.relays[0].clock.clone());
        self.relays[0].write(&self.site, || world.answer(&clock)).await?;
        self.tried.takeovers += 1;
        Ok(())
    }

    /// Starts the relay that follows anew, with an empty ledger and a clock that was never compared.
    fn restart(&mut self) -> Result {
        let clock = self.world.clock();
        self.world.answer(&clock);
        self.relays[1] = Relay::start(&self.site, self.relays[1].name, clock)?;
        self.tried.restarts += 1;
        Ok(())
    }

    /// Sends new events, and second copies of some that arrived within the window.
    async fn send(&mut self) -> Result {
        let now = self.world.truth();
        let next = self.accepted.len() as u64;
        let window_us = u64::from(WINDOW_DAYS) * DAY as u64;
        let within: Vec<u64> = self
            .accepted
            .iter()
            .filter(|(_, at)| now - **at < window_us)
            .map(|(number, _)| *number)
            .collect();
        let copies: Vec<u64> = within.sample(&mut self.rng, 20).copied().collect();
        self.tried.copies += copies.len();
        let fresh: Vec<u64> = (next..next + 20).collect();
        let mut last = 0;
        for numbers in [fresh, copies].iter().filter(|numbers| !numbers.is_empty()) {
            last = self.site.publish(Lane::Standard, SHARD, numbers).await?;
        }
        (next..next + 20).for_each(|number| _ = self.accepted.insert(number, now));
        until("the blocks to be replicated", || {
            self.world.answer(&self.relays[0].clock);
            self.relays[0].has_replicated(Lane::Standard, last)
        })
        .await
    }

    /// Checks that the blocks of this round have the right time.
    async fn look(&mut self) -> Result {
        let blocks = self.site.log(self.seen + 1).await?;
        self.seen += blocks.len() as u64;
        let truth = self.world.truth();
        for block in blocks {
            let off = block.appended_at_us.abs_diff(truth);
            if off > MOST_OFF && matches!(block.content, Some(Content::Replica(_))) {
                return Err(Failure::new(format!("a block's time is off by {} s", off / 1_000_000)));
            }
        }
        Ok(())
    }

    /// Checks the whole log: its time never goes back, and no event is in it twice.
    async fn judge(&self) -> Result {
        let (mut stored, mut duplicates, mut before) = (HashMap::<Vec<u8>, u64>::new(), 0, 0);
        for block in self.site.log(1).await? {
            if block.appended_at_us < before {
                return Err(Failure::new("the log's time went back"));
            }
            before = block.appended_at_us;
            let Some(Content::Replica(replica)) = block.content else { continue };
            for verdict in replica.entries.into_iter().filter_map(|entry| entry.verdict) {
                match verdict.kind() {
                    Kind::Stored => *stored.entry(verdict.event_id).or_default() += 1,
                    _ => duplicates += 1,
                }
            }
        }
        let twice = stored.values().filter(|&&times| times > 1).count();
        if twice > 0 || stored.len() != self.accepted.len() || duplicates != self.tried.copies {
            return Err(Failure::new(format!(
                "{twice} stored twice; {duplicates} duplicates, {:?}",
                self.tried
            )));
        }
        let known = |number: u64| stored.contains_key(id(number).as_bytes().as_slice());
        assert!(self.accepted.keys().all(|&number| known(number)));
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_one_clock_does_nothing_is_stored_twice_and_the_log_s_time_is_right() -> Result {
    let seeds = match std::env::var("FLOODGATE_CLOCK_SEED") {
        Ok(seed) => vec![seed.parse()?],
        Err(_) => SEEDS.to_vec(),
    };
    for seed in seeds {
        let Some(site) = Site::start("whatever_one_clock_does", 1).await? else { return Ok(()) };
        let mut campaign = Campaign::start(site, seed).await?;
        for round in 0..ROUNDS {
            campaign.round().await.map_err(|error| error.during(format!("seed {seed}, round {round}")))?;
        }
        campaign.judge().await.map_err(|error| error.during(format!("seed {seed}")))?;
        println!("seed {seed}: {:?}", campaign.tried);
        let Tried { jumps, takeovers, restarts, forgotten, copies } = campaign.tried;
        assert!(jumps > 5 && takeovers > 2 && restarts > 2 && forgotten > 2 && copies > 500);
    }
    Ok(())
}

/// The log of an older version, whose last block is dated 2028.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_whose_time_is_far_ahead_is_put_right_and_keeps_its_ids_for_the_window() -> Result {
    let Some(site) = Site::start("a_log_whose_time_is_far_ahead", 1).await? else { return Ok(()) };
    // A world that is two years ahead writes the first blocks.
    let ahead = World::new(&[]);
    ahead.pass(std::time::Duration::from_secs(2 * 365 * 86_400));
    let clock = ahead.clock();
    ahead.answer(&clock);
    let mut older = Relay::start(&site, "older", clock.clone())?;
    older.write(&site, || ahead.answer(&clock)).await?;
    let last = site.publish(Lane::Standard, SHARD, &[0, 1, 2]).await?;
    until("the blocks to be replicated", || older.has_replicated(Lane::Standard, last)).await?;
    older.stand_down().await?;
    let written = site.log(1).await?.len();

    let world = World::new(&[]);
    let clock = world.clock();
    world.answer(&clock);
    let mut relay = Relay::start(&site, "relay", clock.clone())?;
    relay.write(&site, || world.answer(&clock)).await?;
    let replicate = async |numbers: &[u64]| {
        let last = site.publish(Lane::Standard, SHARD, numbers).await?;
        until("the blocks to be replicated", || relay.has_replicated(Lane::Standard, last)).await
    };
    replicate(&[0, 3]).await?;
    for block in &site.log(written as u64 + 1).await? {
        assert_eq!(block.appended_at_us, world.truth(), "it is the true time again");
    }
    // The ids of 2028 are forgotten together with those of the first right day, and neither earlier nor in
    // 2028.
    let is_known = |number: u64| relay.ledger.find(id(number)).map(|known| known.is_some());
    let (mut forgotten_after, mut days) = (None, 0);
    while forgotten_after.is_none() && days < 10 {
        world.run(&clock, 86_400 / 5);
        days += 1;
        let now = world.truth() - 60 * SECOND as u64;
        until("the lanes to be replicated through", || {
            relay.progress.through_us(&Lane::ALL.map(super::site::feed)) >= now
        })
        .await?;
        relay.forget(WINDOW_DAYS).await?;
        replicate(&[100 + days]).await?;
        assert_eq!(is_known(1)?, is_known(3)?, "after {days} days");
        if !is_known(1)? {
            forgotten_after = Some(days);
        }
    }
    assert_eq!(forgotten_after, Some(u64::from(WINDOW_DAYS) + 1));
    Ok(())
}
