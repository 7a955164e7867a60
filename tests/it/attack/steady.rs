//! Honest events at a steady rate, whatever becomes of those before.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use floodgate_testkit::{Result, Scene, Sender};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// Events come in groups, one for each tick.
const TICK: Duration = Duration::from_millis(10);
/// How many may wait for their answers. Beyond that the sender waits, and says so.
const MOST: usize = 512;

/// How many events there are.
#[derive(Clone, Copy)]
pub(super) struct Rate {
    pub(super) per_second: u32,
    pub(super) seconds: u32,
}

impl Rate {
    pub(super) fn events(self) -> u32 {
        self.per_second * self.seconds
    }
}

/// What became of them.
pub(super) struct Steady {
    name: &'static str,
    times: Vec<Duration>,
    /// Answers other than 2xx, and connections that broke.
    pub(super) refused: usize,
    /// Probes of `/readyz` that were not answered 200, one in a second.
    pub(super) not_ready: usize,
    /// Events that were sent late, because too many had no answer.
    late: usize,
    took: Duration,
}

impl Steady {
    /// Sends events of this name at this rate. Each is sent once: honest senders must not need a second try.
    pub(super) async fn run(scene: &Scene, name: &'static str, rate: Rate) -> Result<Self> {
        let waiting = Arc::new(Semaphore::new(MOST));
        let (started, mut sending, mut probing) = (Instant::now(), JoinSet::new(), JoinSet::new());
        let mut all = Self { name, times: vec![], refused: 0, not_ready: 0, late: 0, took: Duration::ZERO };
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for number in 0..rate.events() {
            let due = TICK * (number / (rate.per_second / 100).max(1));
            while started.elapsed() < due {
                ticks.tick().await;
            }
            if number % rate.per_second == 0 {
                let sender = scene.sender.clone();
                probing.spawn(async move { sender.get("eu", "/readyz").await.ok() });
            }
            let place = match Arc::clone(&waiting).try_acquire_owned() {
                Ok(place) => place,
                Err(_) => {
                    all.late += 1;
                    Arc::clone(&waiting).acquire_owned().await?
                }
            };
            let body = format!(r#"{{"type":"{name}","number":{number},"text":"{}"}}"#, "x".repeat(900));
            let signed = scene.standard(&format!("msg_{name}_{number}"), body)?;
            let sender = scene.sender.clone();
            sending.spawn(async move {
                let taken = post(&sender, &signed).await;
                drop(place);
                taken
            });
        }
        while let Some(taken) = sending.join_next().await {
            match taken? {
                Some(time) => all.times.push(time),
                None => all.refused += 1,
            }
        }
        all.took = started.elapsed();
        while let Some(status) = probing.join_next().await {
            all.not_ready += usize::from(status? != Some(200));
        }
        all.times.sort();
        Ok(all)
    }

    pub(super) fn p99(&self) -> Duration {
        self.percentile(99).max(Duration::from_micros(1))
    }

    fn percentile(&self, percent: usize) -> Duration {
        self.times.get(self.times.len() * percent / 100).copied().unwrap_or_default()
    }
}

/// How long it took, if it was accepted.
async fn post(sender: &Sender, signed: &floodgate_testkit::sign::Signed) -> Option<Duration> {
    let started = Instant::now();
    match sender.post("eu", signed).await {
        Ok(answer) if answer.accepted().is_ok() => Some(started.elapsed()),
        Ok(answer) => {
            println!("an honest event was answered {} {}", answer.status, answer.body);
            None
        }
        Err(failure) => {
            println!("an honest event had no answer: {failure}");
            None
        }
    }
}

impl fmt::Display for Steady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (half, most) = (self.percentile(50), self.percentile(99));
        let per_second = self.times.len() as f64 / self.took.as_secs_f64();
        write!(
            f,
            "{}: {} events at {per_second:.0}/s, p50 {half:.1?}, p99 {most:.1?}, {} refused, {} late, {} not ready",
            self.name,
            self.times.len(),
            self.refused,
            self.late,
            self.not_ready
        )
    }
}
