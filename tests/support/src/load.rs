//! Load: a provider that sends numbered events and tries each again until it gets its 2xx.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::{Result, Sender, sign};

/// Between two tries of one event.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// An event that was not accepted for so long will not be: the longest fault of the tests is shorter.
const GIVE_UP: Duration = Duration::from_secs(120);

/// What to send, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// A source of the scheme `standard`.
    pub source: String,
    /// Its secret.
    pub secret: String,
    /// Events go to these in turn.
    pub regions: Vec<String>,
    /// Requests in flight.
    pub workers: usize,
    /// The numbers to send.
    pub numbers: Range<u64>,
    /// Between a worker's answer and its next event.
    pub pause: Duration,
}

/// A load under way.
pub struct Load {
    shared: Arc<Shared>,
    workers: JoinSet<Result<()>>,
}

struct Shared {
    plan: Plan,
    sender: Sender,
    next: AtomicU64,
    stopped: AtomicBool,
    acknowledged: Mutex<BTreeMap<u64, String>>,
}

impl Load {
    /// Starts it.
    pub fn start(sender: &Sender, plan: Plan) -> Self {
        let count = plan.workers;
        let shared = Arc::new(Shared {
            next: AtomicU64::new(plan.numbers.start),
            plan,
            sender: sender.clone(),
            stopped: AtomicBool::new(false),
            acknowledged: Mutex::default(),
        });
        let mut workers = JoinSet::new();
        for _ in 0..count {
            let shared = Arc::clone(&shared);
            workers.spawn(async move { shared.work().await });
        }
        Self { shared, workers }
    }

    /// How many events have their 2xx.
    pub fn acknowledged(&self) -> usize {
        self.shared.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Starts no further event, waits for those under way, and gives every acknowledged id by its number.
    ///
    /// # Errors
    /// If an event was not accepted for `GIVE_UP`.
    pub async fn stop(self) -> Result<BTreeMap<u64, String>> {
        self.shared.stopped.store(true, Ordering::Relaxed);
        self.complete().await
    }

    /// Waits until every number was sent, and gives every acknowledged id by its number.
    ///
    /// # Errors
    /// If an event was not accepted for `GIVE_UP`.
    pub async fn complete(mut self) -> Result<BTreeMap<u64, String>> {
        while let Some(worker) = self.workers.join_next().await {
            worker??;
        }
        Ok(std::mem::take(&mut *self.shared.acknowledged.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Shared {
    async fn work(&self) -> Result<()> {
        while !self.stopped.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if !self.plan.numbers.contains(&number) {
                break;
            }
            let id = self.send(number).await?;
            self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).insert(number, id);
            tokio::time::sleep(self.plan.pause).await;
        }
        Ok(())
    }

    /// Posts one event until it is accepted. Refusals and broken connections are what
    /// faults look like from here.
    async fn send(&self, number: u64) -> Result<String> {
        let turn = usize::try_from(number)? % self.plan.regions.len();
        let region = &self.plan.regions[turn];
        let started = Instant::now();
        loop {
            let last = match self.try_once(region, number).await {
                Ok(id) => return Ok(id),
                Err(failure) => failure,
            };
            if started.elapsed() > GIVE_UP {
                return Err(last.during(format!("event {number} to {region} for {GIVE_UP:?}")));
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    async fn try_once(&self, region: &str, number: u64) -> Result<String> {
        let body = format!(r#"{{"type":"load.sent","number":{number}}}"#);
        let signed = sign::standard(&self.plan.source, &self.plan.secret, &format!("msg_{number}"), body)?;
        let answer = self.sender.post(region, &signed).await?;
        if (400..=499).contains(&answer.status) {
            // A fault of ours must never look like one of the sender's: providers do not retry a 4xx.
            panic!("a valid event was answered {}: {}", answer.status, answer.body);
        }
        answer.accepted().map(str::to_owned)
    }
}
