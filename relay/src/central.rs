//! Tracks which of the centre's streams are lost. The shards that need them stop, until the streams are
//! restored or an operator accepts the loss.

mod folded_from;
mod monitor;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use floodgate_api::central::Acceptance;
use floodgate_event::central::Lost;
use floodgate_event::{ShardCount, ShardId, subject};
use floodgate_stream::central::{self, Accepted, Deployment, DeploymentError, StreamRecord};
use tokio::sync::{Notify, watch};

pub(crate) use self::monitor::{CentralMetrics, Monitor};

/// How often the monitor looks while the state of a stream is in doubt, or a task waits for the next look.
const LOOK_SOON: Duration = Duration::from_secs(1);
/// How many looks in a row must show a loss before it counts: after an election, a server may be behind for a
/// moment.
const CONFIRMED: u32 = 2;

/// The state of the centre's streams, as the monitor of this process saw them last. Cheap to clone.
#[derive(Clone)]
pub(crate) struct CentralStreams {
    context: Context,
    count: ShardCount,
    state: watch::Receiver<State>,
    look: Arc<Notify>,
}

/// Why a loss was not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AcceptError {
    /// The stream is the one that was recorded, so nothing is lost.
    #[error("the stream {0} is not lost: see /v1/health for those that are")]
    NotLost(String),
    /// The acceptance could not be written to the centre.
    #[error(transparent)]
    Note(#[from] DeploymentError),
}

/// The result of the looks so far.
#[derive(Clone, Debug, Default)]
struct State {
    /// The number of looks, without those that failed.
    looks: u64,
    noted: BTreeMap<String, StreamRecord>,
    /// The loss of each stream that has one, and how many looks in a row showed it.
    lost: BTreeMap<String, (Lost, u32)>,
}

impl State {
    fn confirmed(&self, stream: &str) -> Option<&Lost> {
        self.lost.get(stream).filter(|(_, looks)| *looks >= CONFIRMED).map(|(lost, _)| lost)
    }

    /// Returns true if at least one look showed the loss of a stream that the shard writes.
    fn any_of(&self, shard: ShardId) -> bool {
        streams_of(shard).iter().any(|stream| self.lost.contains_key(stream))
    }

    /// Returns true if enough looks showed the loss of a stream that the shard writes.
    fn confirmed_of(&self, shard: ShardId) -> bool {
        streams_of(shard).iter().any(|stream| self.confirmed(stream).is_some())
    }
}

fn streams_of(shard: ShardId) -> [String; 2] {
    [subject::log_stream(shard), subject::journal_stream(shard)]
}

impl CentralStreams {
    /// Returns the handle, and the monitor's task, which runs until its `shutdown`.
    pub(crate) fn start(monitor: Monitor) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (sender, state) = watch::channel(State::default());
        let (context, count, look) = (monitor.context.clone(), monitor.count, Arc::clone(&monitor.look));
        let streams = Self { context, count, state, look };
        (streams, monitor.run(sender))
    }

    /// The losses that count, by stream.
    pub(crate) fn lost(&self) -> BTreeMap<String, Lost> {
        let state = self.state.borrow();
        let lost = |stream: &String| Some((stream.clone(), state.confirmed(stream)?.clone()));
        state.lost.keys().filter_map(lost).collect()
    }

    /// Accepts the loss of a stream. Within seconds, every relay continues with what is left of it.
    ///
    /// # Errors
    /// [`AcceptError::NotLost`] if nothing is lost; else if the centre does not answer.
    pub(crate) async fn accept(&self, stream: &str) -> Result<Acceptance, AcceptError> {
        let lost = self.state.borrow().confirmed(stream).cloned();
        let lost = lost.ok_or_else(|| AcceptError::NotLost(stream.to_owned()))?;
        // The stream cannot grow meanwhile, because the shard that writes it has stopped.
        let (stands_through, is_same) = match lost {
            Lost::WentBack { last, .. } => (last, true),
            Lost::Missing | Lost::Anew => (0, false),
        };
        let accepted = Accepted::now(stands_through);
        let noted = central::change(&self.context, |known| {
            let mut deployment = known.unwrap_or_else(|| Deployment::new(self.count));
            let noted = deployment.streams.entry(stream.to_owned()).or_default();
            noted.accepted = Some(accepted.clone());
            if !is_same {
                noted.made = None;
            }
            deployment
        });
        noted.await?;
        tracing::warn!(stream, %lost, stands_through, "the loss of the stream is accepted");
        self.look.notify_one();
        Ok(Acceptance { stream: stream.to_owned(), lost, stands_through })
    }

    /// The streams of one shard.
    pub(crate) fn of(&self, shard: ShardId) -> ShardStreams {
        ShardStreams { streams: self.clone(), shard }
    }
}

/// One shard's log and journal.
#[derive(Clone)]
pub(crate) struct ShardStreams {
    streams: CentralStreams,
    shard: ShardId,
}

impl ShardStreams {
    /// Waits until a look that began after this call found both streams to be those that were recorded.
    pub(crate) async fn until_sound(&self) {
        let mut state = self.streams.state.clone();
        // A look may already be under way, and does not count.
        let due = state.borrow().looks + 2;
        loop {
            self.streams.look.notify_one();
            let is_sound = |state: &State| state.looks >= due && !state.any_of(self.shard);
            let waited = tokio::time::timeout(LOOK_SOON, state.wait_for(is_sound)).await;
            match waited.map(|sound| sound.is_ok()) {
                Ok(true) => return,
                // The monitor has ended, and so does the process.
                Ok(false) => std::future::pending().await,
                Err(_) => {}
            }
        }
    }

    /// Returns once one of them is lost.
    pub(crate) async fn lost(&self) {
        let mut state = self.streams.state.clone();
        let is_lost = state.wait_for(|state| state.confirmed_of(self.shard)).await.is_ok();
        if !is_lost {
            std::future::pending::<()>().await;
        }
    }

    /// What is recorded of the shard's log.
    pub(crate) fn log(&self) -> StreamRecord {
        let state = self.streams.state.borrow();
        state.noted.get(&subject::log_stream(self.shard)).cloned().unwrap_or_default()
    }
}
