//! Takes requests to replay a quarantined event: through the source's chain as it is now, with a chosen
//! version of a handler where one is named, and then the way of every event.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::{self, Context};
use async_nats::{Message, SubscribeError};
use bytes::Bytes;
use floodgate_event::proto::event::Disposition;
use floodgate_event::proto::replayed::Result as Outcome;
use floodgate_event::proto::{self, Accepted, Quarantined, Replay};
use floodgate_event::snapshot::Digest256;
use floodgate_event::{format, replay, subject};
use floodgate_listen::Account;
use floodgate_sandbox::FaultKind;
use futures::StreamExt as _;
use prost::Message as _;
use tokio::sync::{Mutex, Semaphore};
use tracing::warn;

use super::components::{ComponentError, Components};
use super::served::{Served, Source};
use super::state::State;
use crate::chain::{NotHandled, Rejected, Version, VersionId, Versions};
use crate::enqueue::NotEnqueued;
use crate::metrics::Metrics;
use crate::nats::Connection;
use crate::stage::Handled;

/// Replays at once in a gateway: few beside what senders may have under way.
const SLOTS: usize = 8;
/// Wait before subscribing anew.
const PAUSE: Duration = Duration::from_secs(1);
/// What a replay takes besides the event: bookkeeping.
const OVERHEAD: usize = 4 * 1024;

/// Answers the relay.
pub(super) struct Replays {
    nats: Connection,
    context: Context,
    state: Arc<State>,
    memory: Account,
    metrics: Arc<Metrics>,
    /// Versions that no source need bind, apart from those that serve senders.
    components: Mutex<Components>,
    versions: Versions,
    /// The one that was asked for last, so that its breaker and metrics outlive an event.
    latest: Mutex<Option<Arc<Version>>>,
    slots: Arc<Semaphore>,
}

impl Replays {
    pub(super) fn new(
        nats: Connection,
        state: Arc<State>,
        memory: Account,
        metrics: Arc<Metrics>,
        (components, versions): (Components, Versions),
    ) -> Arc<Self> {
        let context = jetstream::new(nats.client().clone());
        let (components, latest) = (Mutex::new(components), Mutex::new(None));
        let slots = Arc::new(Semaphore::new(SLOTS));
        Arc::new(Self { nats, context, state, memory, metrics, components, versions, latest, slots })
    }

    /// Runs for ever.
    pub(super) async fn run(self: Arc<Self>) {
        loop {
            if let Err(error) = self.serve().await {
                warn!(%error, "cannot take replays");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn serve(self: &Arc<Self>) -> Result<(), SubscribeError> {
        let group = subject::REPLAY_GROUP.to_owned();
        let mut requests = self.nats.client().queue_subscribe(subject::REPLAY, group).await?;
        while let Some(request) = requests.next().await {
            // Never closed.
            let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else { break };
            let replays = Arc::clone(self);
            tokio::spawn(async move {
                replays.take(request).await;
                drop(slot);
            });
        }
        Ok(())
    }

    async fn take(&self, request: Message) {
        let Some(reply) = request.reply else { return };
        let outcome = self.replay(request.payload).await.unwrap_or_else(Outcome::from);
        self.metrics.replayed(label(&outcome));
        let answer = replay::answer(outcome).encode_to_vec();
        if let Err(error) = self.nats.client().publish(reply, answer.into()).await {
            // The relay asks again, and what was enqueued twice is a duplicate.
            warn!(%error, "a replay's outcome was not sent");
        }
    }

    /// The stages, one after the other, from the one that the event had reached.
    async fn replay(&self, payload: Bytes) -> Result<Outcome, NotReplayed> {
        self.state.readiness().map_err(NotReplayed::unavailable)?;
        let memory = self.memory.reserve(payload.len() + OVERHEAD);
        let memory = memory.map_err(|_| NotReplayed::unavailable(NotEnqueued::Memory))?;
        let Replay { event, shard, handler, .. } = format::decode(payload).map_err(NotReplayed::refused)?;
        // `decode` has checked that it is there.
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
        let verified = source.verifier.restore(event, shard, memory).map_err(NotReplayed::refused)?;
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

    /// One at a time, so that a component is compiled once however many events wait for it.
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

fn source<'s>(served: &'s Served, name: &str) -> Result<&'s Source, NotReplayed> {
    if served.is_refused(name) {
        // Its handlers may be those from before, and the replay is meant for those of now.
        return Err(NotReplayed::unavailable(format!("source `{name}` is not served as it is configured")));
    }
    let missing = || NotReplayed::refused(format!("there is no source `{name}` now"));
    served.source(name).map(Arc::as_ref).ok_or_else(missing)
}

/// What the chain made of the event, as its last handler's run says it; a fault is not enqueued once more.
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

/// Why an event was not replayed.
enum NotReplayed {
    Fault(Quarantined),
    /// Asking again is of no use.
    Refused(String),
    /// Asking again may help, or asking another gateway.
    Unavailable(String),
}

impl NotReplayed {
    fn refused(reason: impl ToString) -> Self {
        Self::Refused(reason.to_string())
    }

    fn unavailable(reason: impl ToString) -> Self {
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
    /// What was not run, because it had failed too often, may run a while later.
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
