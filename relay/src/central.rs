//! Looking after the centre's streams: notes each one's making when it is seen
//! first, and says which are lost.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use floodgate_api::central::Acceptance;
use floodgate_event::causes::chain;
use floodgate_event::central::Lost;
use floodgate_event::{Lane, subject};
use floodgate_stream::central::{self, Accepted, Deployment, DeploymentError, Noted, judge};
use floodgate_stream::placement::Centre;
use floodgate_stream::provision;
use prometheus::{IntGaugeVec, Opts, Registry};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::store::ShardStore;

/// How often the streams are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The same while something is in doubt.
const LOOK_SOON: Duration = Duration::from_secs(1);
/// A loss counts once so many looks in a row show it: after an election a server may be behind for a moment.
const CONFIRMED: u32 = 2;
/// Where it is kept, in `state_dir`, which streams the ledgers and indexes there were made from.
const KEPT: &str = "streams.json";

/// The centre's streams, looked after by one task of this process.
#[derive(Clone)]
pub(crate) struct CentralStreams {
    context: Context,
    state: watch::Receiver<State>,
    look: Arc<Notify>,
}

/// Why a loss was not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AcceptError {
    /// Nothing of it is lost.
    #[error("the stream {0} is not lost: see /v1/health for those that are")]
    NotLost(String),
    /// It could not be noted.
    #[error(transparent)]
    Note(#[from] DeploymentError),
}

/// What the looks so far have shown.
#[derive(Clone, Debug, Default)]
struct State {
    /// How many looks there were that saw everything.
    looks: u64,
    shards: u32,
    noted: BTreeMap<String, Noted>,
    /// What is lost, and how many looks in a row showed it.
    lost: BTreeMap<String, (Lost, u32)>,
}

impl State {
    fn confirmed(&self, stream: &str) -> Option<&Lost> {
        self.lost.get(stream).filter(|(_, looks)| *looks >= CONFIRMED).map(|(lost, _)| lost)
    }

    /// What is lost of the streams that a shard writes, sure or not.
    fn any_of(&self, shard: u32) -> bool {
        streams_of(shard).iter().any(|stream| self.lost.contains_key(stream))
    }

    fn confirmed_of(&self, shard: u32) -> bool {
        streams_of(shard).iter().any(|stream| self.confirmed(stream).is_some())
    }
}

fn streams_of(shard: u32) -> [String; 2] {
    [subject::log_stream(shard), subject::journal_stream(shard)]
}

/// Which streams are lost, as a metric.
#[derive(Clone)]
pub(crate) struct CentralMetrics {
    lost: IntGaugeVec,
}

impl CentralMetrics {
    /// Registers it.
    ///
    /// # Errors
    /// If the name is registered already.
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let help =
            "1 while a stream of the centre is gone, another one, or shorter than what was read from it.";
        let lost = IntGaugeVec::new(Opts::new("floodgate_central_stream_lost", help), &["stream"])?;
        registry.register(Box::new(lost.clone()))?;
        Ok(Self { lost })
    }
}

impl CentralStreams {
    /// Starts looking, until `shutdown`. Gives the handle, and the task to run.
    pub(crate) fn start(looker: Looker) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (sender, state) = watch::channel(State::default());
        let (context, look) = (looker.context.clone(), Arc::clone(&looker.look));
        let streams = Self { context, state, look };
        (streams, looker.run(sender))
    }

    /// What is lost, by stream.
    pub(crate) fn lost(&self) -> BTreeMap<String, Lost> {
        let state = self.state.borrow();
        let lost = |stream: &String| Some((stream.clone(), state.confirmed(stream)?.clone()));
        state.lost.keys().filter_map(lost).collect()
    }

    /// Goes on with what is there of a stream that is lost. Every relay's shard does so within seconds.
    ///
    /// # Errors
    /// [`AcceptError::NotLost`] if nothing is lost; else if the centre does not answer.
    pub(crate) async fn accept(&self, stream: &str) -> Result<Acceptance, AcceptError> {
        let lost = self.state.borrow().confirmed(stream).cloned();
        let lost = lost.ok_or_else(|| AcceptError::NotLost(stream.to_owned()))?;
        // Nobody writes a stream that is lost.
        let (stands_through, is_same) = match lost {
            Lost::WentBack { last, .. } => (last, true),
            Lost::Missing | Lost::Anew => (0, false),
        };
        let accepted = Accepted::now(stands_through);
        let shards = self.state.borrow().shards;
        let noted = central::change(&self.context, |known| {
            let mut deployment = known.unwrap_or_else(|| Deployment::new(shards));
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
    pub(crate) fn of(&self, shard: u32) -> ShardStreams {
        ShardStreams { streams: self.clone(), shard }
    }
}

/// One shard's log and journal.
#[derive(Clone)]
pub(crate) struct ShardStreams {
    streams: CentralStreams,
    shard: u32,
}

impl ShardStreams {
    /// Waits until a look that began after this call has found both streams to be those that are known.
    pub(crate) async fn until_sound(&self) {
        let mut state = self.streams.state.clone();
        // One look may be under way already.
        let due = state.borrow().looks + 2;
        loop {
            self.streams.look.notify_one();
            let is_sound = |state: &State| state.looks >= due && !state.any_of(self.shard);
            let waited = tokio::time::timeout(LOOK_SOON, state.wait_for(is_sound)).await;
            match waited.map(|sound| sound.is_ok()) {
                Ok(true) => return,
                // Nobody looks any more: the process ends.
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

    /// What is noted of the log.
    pub(crate) fn log(&self) -> Noted {
        let state = self.streams.state.borrow();
        state.noted.get(&subject::log_stream(self.shard)).cloned().unwrap_or_default()
    }
}

/// What the task that looks needs.
pub(crate) struct Looker {
    pub(crate) context: Context,
    pub(crate) shards: Vec<ShardStore>,
    pub(crate) centre: Centre,
    pub(crate) state_dir: PathBuf,
    pub(crate) metrics: CentralMetrics,
    pub(crate) look: Arc<Notify>,
    pub(crate) shutdown: CancellationToken,
}

impl Looker {
    async fn run(self, sender: watch::Sender<State>) {
        let mut kept = Kept::read(&self.state_dir);
        loop {
            let before = sender.borrow().clone();
            let pause = match self.look(&before, &mut kept).await {
                Ok(state) => {
                    let in_doubt = state.lost.values().any(|(_, looks)| *looks < CONFIRMED);
                    sender.send_replace(state);
                    if in_doubt { LOOK_SOON } else { LOOK_EVERY }
                }
                Err(error) => {
                    tracing::debug!(error = chain(&error), "the centre's streams cannot be looked at");
                    LOOK_SOON
                }
            };
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = self.look.notified() => {}
                () = sleep(pause) => {}
            }
        }
    }

    async fn look(&self, before: &State, kept: &mut Kept) -> Result<State, LookError> {
        let deployment = self.bring(central::load(&self.context).await?).await?;
        // Before the streams: nothing is read of them later than their ends.
        let known = tokio::task::block_in_place(|| self.known(&deployment, kept))?;
        let mut lost = BTreeMap::new();
        for stream in central::streams(self.count()) {
            let noted = deployment.streams.get(&stream).cloned().unwrap_or_default();
            let found = central::find(&self.context, &stream).await?;
            let known = known.get(&stream).copied().unwrap_or_default();
            if let Some(judged) = judge(&noted, found.as_ref(), known.through) {
                let looks = before.lost.get(&stream).map_or(0, |(_, looks)| *looks) + 1;
                lost.insert(stream.clone(), (judged, looks.min(CONFIRMED)));
            } else if found.is_some_and(|found| known.folded <= found.state.last_sequence) {
                kept.note(&stream, noted.identity());
            }
            self.tell(&stream, before, lost.get(&stream));
        }
        kept.write(&self.state_dir);
        let (looks, shards) = (before.looks + 1, self.count());
        Ok(State { looks, shards, noted: deployment.streams, lost })
    }

    fn count(&self) -> u32 {
        u32::try_from(self.shards.len()).unwrap_or(u32::MAX)
    }

    /// Makes and notes what was never noted, or whose loss was accepted.
    async fn bring(&self, known: Option<Deployment>) -> Result<Deployment, LookError> {
        let deployment = match known {
            Some(known) => known,
            // Gone while this process runs: what it was is known.
            None => central::open(&self.context, self.count()).await?,
        };
        let is_new =
            |stream: &String| deployment.streams.get(stream).is_none_or(|noted| noted.made.is_none());
        let new: Vec<String> = central::streams(self.count()).filter(is_new).collect();
        // Nothing is read from the set-aside stream, so its loss stops nothing; a writer
        // that cannot fill it stops.
        provision::central_stream(&self.context, subject::SET_ASIDE_STREAM, self.centre).await?;
        if new.is_empty() {
            return Ok(deployment);
        }
        let mut made = HashMap::new();
        for stream in new {
            provision::central_stream(&self.context, &stream, self.centre).await?;
            if let Some(found) = central::find(&self.context, &stream).await? {
                made.insert(stream, central::mark(&self.context, &found).await?);
            }
        }
        let shards = self.count();
        let noted = central::change(&self.context, |known| {
            let mut deployment = known.unwrap_or_else(|| Deployment::new(shards));
            for (stream, made) in &made {
                let noted = deployment.streams.entry(stream.clone()).or_default();
                noted.made.get_or_insert_with(|| made.clone());
            }
            deployment
        });
        Ok(noted.await?)
    }

    /// What this process and the journal know of each stream.
    fn known(&self, deployment: &Deployment, kept: &Kept) -> Result<HashMap<String, Known>, LookError> {
        let mut known = HashMap::new();
        for store in &self.shards {
            let [log, journal] = streams_of(store.shard);
            let noted = deployment.streams.get(&log).cloned().unwrap_or_default();
            let folded = store.ledger.cut().checkpoint.map_or(0, |at| at.sequence);
            let mut through = if kept.is(&log, deployment) { folded } else { 0 };
            // The cursors of a journal that has not learnt of an accepted loss yet are about the log before.
            let learnt = store.deliveries.log().map_err(LookError::Index)?;
            if learnt == noted.identity() || (learnt.is_empty() && noted.accepted.is_none()) {
                for lane in Lane::ALL {
                    through = through.max(store.deliveries.cursor(lane).map_err(LookError::Index)?);
                }
            }
            known.insert(log, Known { through, folded });
            let folded = store.deliveries.checkpoint().map_err(LookError::Index)?.map_or(0, |at| at.sequence);
            let through = if kept.is(&journal, deployment) { folded } else { 0 };
            known.insert(journal, Known { through, folded });
        }
        Ok(known)
    }

    fn tell(&self, stream: &str, before: &State, now: Option<&(Lost, u32)>) {
        let now = now.filter(|(_, looks)| *looks >= CONFIRMED).map(|(lost, _)| lost);
        self.metrics.lost.with_label_values(&[stream]).set(now.is_some().into());
        match (before.confirmed(stream), now) {
            (before, Some(lost)) if before != Some(lost) => tracing::error!(
                stream,
                %lost,
                "a stream of the centre is lost: its shard stands still until it is restored, or the loss is accepted by \
                 `floodgate accept-loss`"
            ),
            (Some(_), None) => tracing::info!(stream, "the stream is as it is known again"),
            _ => {}
        }
    }
}

/// How far a stream was read.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// It was that long once.
    through: u64,
    /// What this process has folded, be it of this stream or of one before.
    folded: u64,
}

/// Which streams the ledgers and indexes in `state_dir` were made from.
#[derive(Debug, Default, PartialEq, Eq)]
struct Kept {
    identities: BTreeMap<String, String>,
    is_written: bool,
}

impl Kept {
    /// An unreadable file counts as none: then a stream that went back is noticed by
    /// the journal's cursors only.
    fn read(state_dir: &Path) -> Self {
        let text = std::fs::read(state_dir.join(KEPT)).unwrap_or_default();
        Self { identities: serde_json::from_slice(&text).unwrap_or_default(), is_written: true }
    }

    fn is(&self, stream: &str, deployment: &Deployment) -> bool {
        let noted = deployment.streams.get(stream).map(Noted::identity);
        noted.is_some() && self.identities.get(stream) == noted.as_ref()
    }

    fn note(&mut self, stream: &str, identity: String) {
        if self.identities.get(stream) != Some(&identity) {
            self.identities.insert(stream.to_owned(), identity);
            self.is_written = false;
        }
    }

    fn write(&mut self, state_dir: &Path) {
        if self.is_written {
            return;
        }
        let text = serde_json::to_vec(&self.identities).unwrap_or_default();
        let (next, path) = (state_dir.join(format!("{KEPT}.new")), state_dir.join(KEPT));
        match std::fs::write(&next, text).and_then(|()| std::fs::rename(&next, &path)) {
            Ok(()) => self.is_written = true,
            Err(error) => tracing::warn!(path = %path.display(), %error, "cannot be written"),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
    #[error(transparent)]
    Provision(#[from] provision::ProvisionError),
    #[error("the delivery index cannot be read")]
    Index(#[source] floodgate_deliver::index::IndexError),
}
