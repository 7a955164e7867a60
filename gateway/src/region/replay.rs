//! Answers requests to replay a quarantined event. The event passes the source's chain as it is now, or with
//! a chosen version of a handler, and then the same stages as any event.

use std::sync::Arc;

use async_nats::jetstream::{self, Context};
use bytes::Bytes;
use floodgate_event::proto::event::Disposition;
use floodgate_event::proto::replayed::Result as Outcome;
use floodgate_event::proto::{self, Accepted, Quarantined, Replay};
use floodgate_event::{Digest256, ShardId, format, replay, subject};
use floodgate_listen::Account;
use floodgate_sandbox::FaultKind;
use floodgate_stream::Connection;
use prost::Message as _;
use tokio::sync::Mutex;

use super::components::{ComponentError, Components};
use super::requests::Answers;
use super::served::{Served, Source};
use super::state::State;
use crate::chain::{NotHandled, Rejected, Version, VersionId, Versions};
use crate::metrics::Metrics;
use crate::stage::Handled;
use floodgate_enqueue::NotEnqueued;

/// How many bytes a replay takes besides its event.
const OVERHEAD: usize = 4 * 1024;

/// Answers the relay's requests for a replay.
pub(super) struct Replays {
    context: Context,
    state: Arc<State>,
    memory: Account,
    metrics: Arc<Metrics>,
    /// Versions for replays, which no source needs to bind. They are apart from those that serve senders.
    components: Mutex<Components>,
    versions: Versions,
    /// The version of the last replay. It is kept so that its breaker and metrics outlive one event.
    latest: Mutex<Option<Arc<Version>>>,
}

impl Answers for Replays {
    const SUBJECT: &'static str = subject::REPLAY;
    const SLOTS: usize = 8;

    async fn answer(&self, payload: Bytes) -> Vec<u8> {
        let outcome = self.replay(payload).await.unwrap_or_else(Outcome::from);
        self.metrics.replayed(label(&outcome));
        replay::answer(outcome).encode_to_vec()
    }
}

impl Replays {
    pub(super) fn new(
        nats: &Connection,
        state: Arc<State>,
        memory: Account,
        metrics: Arc<Metrics>,
        (components, versions): (Components, Versions),
    ) -> Arc<Self> {
        let context = jetstream::new(nats.client().clone());
        let (components, latest) = (Mutex::new(components), Mutex::new(None));
        Arc::new(Self { context, state, memory, metrics, components, versions, latest })
    }

    /// Runs the stages, from the one that the event had reached.
    async fn replay(&self, payload: Bytes) -> Result<Outcome, NotReplayed> {
        self.state.readiness().map_err(NotReplayed::unavailable)?;
        let memory = self.memory.reserve(payload.len() + OVERHEAD);
        let memory = memory.map_err(|_| NotReplayed::unavailable(NotEnqueued::Memory))?;
        let Replay { event, shard, handler, .. } = format::decode(payload).map_err(NotReplayed::refused)?;
        // `decode` has checked that the event is there.
        let event = event.unwrap_or_default();
        let served = self.served()?;
        let source = source(&served, &event.source)?;
        let pinned = match &handler {
            Some(handler) => Some(self.pinned(handler).await?),
            None => None,
        };
        let from = event.parent.as_ref().and_then(|_| event.handlers.first()).map(|run| run.name.clone());
        let mut chain = source.chain.starting_at(from.as_deref()).map_err(NotReplayed::refused)?;
        if let Some(pinned) = &pinned {
            chain = chain.with(pinned).map_err(NotReplayed::refused)?;
        }
        let verified =
            source.verifier.restore(event, ShardId::new(shard), memory).map_err(NotReplayed::refused)?;
        let handled = chain.run(verified).await?;
        let outcome = outcome(&handled)?;
        served.enqueue().put(&source.name, handled).await?;
        Ok(Outcome::Accepted(Accepted { outcome: outcome.to_owned() }))
    }

    fn served(&self) -> Result<Arc<Served>, NotReplayed> {
        if self.state.runs_no_handlers() {
            return Err(NotReplayed::unavailable("handlers stopped"));
        }
        self.state.served().ok_or_else(|| NotReplayed::unavailable("no configuration yet"))
    }

    /// Loads a version, one at a time: however many events wait for a component, it is compiled once.
    async fn pinned(&self, handler: &proto::Pinned) -> Result<Arc<Version>, NotReplayed> {
        let name = handler.name.parse().map_err(NotReplayed::refused)?;
        // `decode` has checked its length.
        let digest = Digest256::from_bytes(handler.digest.as_slice().try_into().unwrap_or_default());
        let loaded = self.components.lock().await.single(&self.context, digest, handler.size).await?;
        let version = self.versions.share(&VersionId { name, version: handler.version, digest }, loaded);
        *self.latest.lock().await = Some(Arc::clone(&version));
        Ok(version)
    }
}

pub(super) fn source<'s>(served: &'s Served, name: &str) -> Result<&'s Source, NotReplayed> {
    if served.is_refused(name) {
        // The source may be served with earlier handlers, and a replay is meant for the current ones.
        return Err(NotReplayed::unavailable(format!("source `{name}` is not served as it is configured")));
    }
    let missing = || NotReplayed::refused(format!("there is no source `{name}` now"));
    served.source(name).map(Arc::as_ref).ok_or_else(missing)
}

/// Returns the outcome of the event's last handler. A fault is returned as an error, so that the event is not
/// enqueued again.
fn outcome(handled: &Handled) -> Result<&'static str, NotReplayed> {
    let Some(event) = handled.events.first() else { return Ok("pass") };
    let ran = |outcome| event.handlers.iter().any(|run| run.outcome == outcome);
    match &event.disposition {
        Some(Disposition::Quarantined(fault)) => Err(fault.clone().into()),
        Some(Disposition::Filtered(_)) if ran("split") => Ok("split"),
        Some(Disposition::Filtered(_)) => Ok("drop"),
        Some(Disposition::Responded(_)) => Ok("respond"),
        None if ran("change") => Ok("change"),
        None => Ok("pass"),
    }
}

fn label(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Accepted(_) => "accepted",
        Outcome::Fault(_) => "fault",
        Outcome::Refused(_) => "refused",
        Outcome::Unavailable(_) => "unavailable",
    }
}

/// Why an event, or a held request, was not replayed.
pub(super) enum NotReplayed {
    /// A handler failed on it again.
    Fault(Quarantined),
    /// Another try would fail as well.
    Refused(String),
    /// Another try, or another gateway, may succeed.
    Unavailable(String),
}

impl NotReplayed {
    pub(super) fn refused(reason: impl ToString) -> Self {
        Self::Refused(reason.to_string())
    }

    pub(super) fn unavailable(reason: impl ToString) -> Self {
        Self::Unavailable(reason.to_string())
    }
}

impl From<NotReplayed> for Outcome {
    fn from(reason: NotReplayed) -> Self {
        match reason {
            NotReplayed::Fault(fault) => Self::Fault(fault),
            NotReplayed::Refused(reason) => Self::Refused(reason),
            NotReplayed::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}

impl From<Quarantined> for NotReplayed {
    /// A handler whose breaker was open may run a while later.
    fn from(fault: Quarantined) -> Self {
        match fault.kind == FaultKind::Breaker.as_str() {
            true => Self::unavailable(fault.message),
            false => Self::Fault(fault),
        }
    }
}

impl From<Rejected> for NotReplayed {
    fn from(Rejected { handler, fault }: Rejected) -> Self {
        let (kind, message) = (fault.kind().as_str().to_owned(), fault.message().to_owned());
        let trace = fault.into_trace();
        Quarantined { handler: handler.to_string(), kind, message, trace }.into()
    }
}

impl From<NotHandled> for NotReplayed {
    fn from(error: NotHandled) -> Self {
        match error {
            NotHandled::Rejected(rejected) => rejected.into(),
            NotHandled::Memory(exhausted) => Self::unavailable(exhausted),
        }
    }
}

impl From<ComponentError> for NotReplayed {
    fn from(error: ComponentError) -> Self {
        if error.is_final() { Self::refused(error) } else { Self::unavailable(error) }
    }
}

impl From<NotEnqueued> for NotReplayed {
    fn from(error: NotEnqueued) -> Self {
        match error {
            NotEnqueued::TooLarge => Self::refused(error),
            NotEnqueued::Memory | NotEnqueued::Queue | NotEnqueued::NoAck => Self::unavailable(error),
        }
    }
}
