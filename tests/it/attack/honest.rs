//! Honest senders, who look at what they are answered.

use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

use floodgate_testkit::{Failure, Result, Scene};
use futures::future::try_join_all;
use tokio::sync::Mutex;

const SENDERS: usize = 8;
/// The pause between two tries of one event, the shortest that a sender would make.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
const TRIES: usize = 30;

/// What became of honest events.
#[derive(Default)]
pub(crate) struct Honest {
    /// How long each took that was taken at its first try.
    times: Vec<Duration>,
    /// Answers other than 2xx, and connections that broke.
    pub(crate) refused: usize,
    /// Probes of `/readyz` that were not answered 200.
    pub(crate) not_ready: usize,
}

impl Honest {
    /// Sends these events, and looks again and again whether the gateway says that it is ready.
    pub(crate) async fn run(scene: &Scene, numbers: Range<usize>) -> Result<Self> {
        let (all, next) = (Mutex::new(Self::default()), Mutex::new(numbers));
        let worker = || async {
            loop {
                let Some(number) = next.lock().await.next() else { return Ok::<(), Failure>(()) };
                send(scene, number, &all).await?;
                if number % 50 == 0 && scene.sender.get("eu", "/readyz").await.ok() != Some(200) {
                    all.lock().await.not_ready += 1;
                }
            }
        };
        try_join_all((0..SENDERS).map(|_| worker())).await?;
        let mut all = all.into_inner();
        all.times.sort();
        Ok(all)
    }

    fn percentile(&self, percent: usize) -> Duration {
        self.times.get(self.times.len() * percent / 100).copied().unwrap_or_default()
    }
}

async fn send(scene: &Scene, number: usize, all: &Mutex<Honest>) -> Result<()> {
    let body = format!(r#"{{"type":"honest","number":{number},"text":"{}"}}"#, "x".repeat(2_000));
    let signed = scene.standard(&format!("msg_{number}"), body)?;
    for _ in 0..TRIES {
        let started = Instant::now();
        match scene.sender.post("eu", &signed).await {
            Ok(answer) if answer.accepted().is_ok() => {
                all.lock().await.times.push(started.elapsed());
                return Ok(());
            }
            Ok(answer) if (400..500).contains(&answer.status) => {
                return Err(Failure::new(format!("an honest event was answered {}", answer.status)));
            }
            _ => all.lock().await.refused += 1,
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
    Err(Failure::new(format!("event {number} was not taken in {TRIES} tries")))
}

impl fmt::Display for Honest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (half, most) = (self.percentile(50), self.percentile(99));
        write!(f, "p50 {half:.1?}, p99 {most:.1?}, {} refused, {} not ready", self.refused, self.not_ready)
    }
}
