//! Runs the handlers that a source binds, one after the other, over its events: versions, their breakers and
//! metrics, trials and splits. The handlers themselves run in [`floodgate_sandbox`].
//!
//! A [`Chain`] is the only thing that turns a [`Verified`] event into a [`Handled`] one.

mod allowance;
mod breaker;
mod draft;
mod replay;
mod split;
mod tap;
mod trial;
mod trouble;
mod version;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use floodgate_event::Name;
use floodgate_event::proto::event::Disposition;
use floodgate_event::proto::{Event, Filtered, Quarantined, Responded};
use floodgate_event::source::{OnFault, RawPolicy};
use floodgate_listen::{Exhausted, Reservation};

use floodgate_sandbox::{Child, Fault, Granted, HandlerAnswer, Level, Line, Outcome, RunLimits};
use prost::Message as _;

use self::allowance::{Allowance, Payer};
use self::draft::Draft;
use self::split::Birth;
use self::version::Ran;
use crate::stage::{Handled, Verified};

pub use self::replay::NotBound;
pub use self::tap::{Entry, Tap};
pub use self::trial::{Score, Trial};
pub use self::version::{Version, VersionId, Versions};

/// A source's bound handlers. Without any, events go through as they are.
#[derive(Debug)]
pub struct Chain {
    links: Vec<Link>,
    raw: RawPolicy,
    tap: Tap,
}

/// A handler in a source's chain.
#[derive(Clone, Debug)]
pub struct Link {
    /// The version that the source binds.
    pub version: Arc<Version>,
    /// The binding's parameters as text, as handlers get them.
    pub params: String,
    /// What the binding grants.
    pub granted: Arc<Granted>,
    /// What it may use up.
    pub limits: RunLimits,
    /// What a failure does.
    pub on_fault: OnFault,
    /// Another version that is tried on some events.
    pub trial: Option<Trial>,
}

/// A version that runs over an event.
struct Runner<'a> {
    version: &'a Version,
    granted: &'a Arc<Granted>,
    payer: Payer,
}

impl<'a> Runner<'a> {
    fn promoted(link: &'a Link) -> Self {
        Self { version: &link.version, granted: &link.granted, payer: Payer::Promoted }
    }

    fn tried(trial: &'a Trial) -> Self {
        Self { version: trial.version(), granted: trial.granted(), payer: Payer::Tried }
    }
}

/// What a link decided, and which version's decision it is.
type Decided<'a> = (&'a Arc<Version>, Result<Outcome, Fault>);

impl Chain {
    /// A chain of these handlers; `tap` takes what they log.
    pub fn new(links: Vec<Link>, raw: RawPolicy, tap: Tap) -> Self {
        Self { links, raw, tap }
    }

    /// The versions that it runs on every event.
    pub fn versions(&self) -> impl Iterator<Item = &Arc<Version>> {
        self.links.iter().map(|link| &link.version)
    }

    /// Whether it has any.
    pub(crate) fn has_handlers(&self) -> bool {
        !self.links.is_empty()
    }

    /// Runs the handlers over an event; each sees what those before it changed.
    ///
    /// # Errors
    /// If a handler fails whose binding says `on_fault = "reject"`, or there is no
    /// memory for what one returned.
    pub async fn run(&self, event: Verified) -> Result<Handled, NotHandled> {
        let shard = event.shard;
        let (mut draft, mut memory) = Draft::new(event, self.raw);
        let Some(first) = self.links.first() else {
            return Ok(Handled { events: vec![draft.finish(None)], shard, answer: None, memory });
        };
        // All links run on one engine.
        let mut time = Allowance::new(first.version.event_time());
        let (end, children) = self.decide(&mut draft, &mut time, &mut memory).await?;
        let (disposition, answer) = end.into_parts();
        let answer = draft.take_answer().or(answer);
        let mut events = vec![draft.finish(disposition)];
        events.extend(children);
        Ok(Handled { events, shard, answer, memory })
    }

    /// How the chain ends for an event, and the children that it leaves.
    async fn decide<'a>(
        &'a self,
        draft: &mut Draft,
        time: &mut Allowance,
        memory: &mut Reservation,
    ) -> Result<(End<'a>, Vec<Event>), NotHandled> {
        let mut links = &self.links[..];
        loop {
            let split = match self.walk(links, draft, time, memory).await? {
                End::Split(split) => split,
                end => return Ok((end, Vec::new())),
            };
            let fault = match self.children(draft, &split, time, memory).await? {
                Ok(children) => return Ok((End::Split(split), children)),
                Err(fault) => fault,
            };
            split.version.failed(&fault);
            split.version.warn(&draft.envelope().source, draft.id(), &fault);
            match split.link.fail(fault)? {
                Some(end) => return Ok((end, Vec::new())),
                None => links = split.rest,
            }
        }
    }

    async fn walk<'a>(
        &'a self,
        links: &'a [Link],
        draft: &mut Draft,
        time: &mut Allowance,
        memory: &mut Reservation,
    ) -> Result<End<'a>, NotHandled> {
        for (index, link) in links.iter().enumerate() {
            let (version, result) = self.step(link, draft, time, memory).await?;
            match result {
                Ok(Outcome::Pass) => {}
                Ok(Outcome::Change(change)) => draft.apply(change),
                Ok(Outcome::Drop { reason }) => return Ok(link.drop(reason)),
                Ok(Outcome::Respond(answer)) if answer.deliver => draft.answer(answer),
                Ok(Outcome::Respond(answer)) => return Ok(link.respond(answer)),
                Ok(Outcome::Split(children)) => {
                    return Ok(End::Split(Split { link, version, children, rest: &links[index + 1..] }));
                }
                Err(fault) => {
                    if let Some(end) = link.fail(fault)? {
                        return Ok(end);
                    }
                }
            }
        }
        Ok(End::Passed)
    }

    /// The rest of the chain runs over each child: what it redacts must not slip through in a split. They
    /// share their parent's time, and those that find it over fail each by itself, so that a replay has time
    /// for them again. The inner result fails if what it makes of them all outgrows a block.
    async fn children(
        &self,
        parent: &Draft,
        split: &Split<'_>,
        time: &mut Allowance,
        memory: &mut Reservation,
    ) -> Result<Result<Vec<Event>, Fault>, NotHandled> {
        let mut events = Vec::with_capacity(split.children.len());
        let mut bytes = parent.envelope().encoded_len();
        for (ordinal, child) in (0..).zip(&split.children) {
            let mut draft = parent.child(Birth { ordinal, by: &split.version.id().digest, child });
            let end = self.walk(split.rest, &mut draft, time, memory).await?;
            let (disposition, _) = end.into_parts();
            let event = draft.finish(disposition);
            bytes += event.encoded_len();
            if let Err(fault) = split::check_size(bytes) {
                return Ok(Err(fault));
            }
            events.push(event);
        }
        Ok(Ok(events))
    }

    async fn step<'a>(
        &self,
        link: &'a Link,
        draft: &mut Draft,
        time: &mut Allowance,
        memory: &mut Reservation,
    ) -> Result<Decided<'a>, Exhausted> {
        let takes = |trial: &&Trial| draft.event_id().is_some_and(|id| trial.takes(&id));
        match link.trial.as_ref().filter(takes).filter(|_| time.left(Payer::Tried).is_some()) {
            Some(trial) => self.try_out(link, trial, draft, time, memory).await,
            None => {
                let ran = self.run_one(link, Runner::promoted(link), draft, time, memory).await?;
                Ok(self.settle(&link.version, ran, draft))
            }
        }
    }

    /// Runs both versions over the event, and takes the promoted one's outcome, or a
    /// canary's that did not fail.
    async fn try_out<'a>(
        &self,
        link: &'a Link,
        trial: &'a Trial,
        draft: &mut Draft,
        time: &mut Allowance,
        memory: &mut Reservation,
    ) -> Result<Decided<'a>, Exhausted> {
        let tried = self.run_one(link, Runner::tried(trial), draft, time, memory).await?;
        let promoted = self.run_one(link, Runner::promoted(link), draft, time, memory).await?;
        trial.note(draft.id(), &draft.envelope().source, &promoted, &tried);
        if trial.prevails(&tried) {
            return Ok(self.settle(trial.version(), tried, draft));
        }
        if trial.is_canary() {
            drop(self.settle(trial.version(), tried, draft));
        } else if let Err(fault) = &tried.result {
            trial.version().failed(fault);
        }
        Ok(self.settle(&link.version, promoted, draft))
    }

    /// Counts what the handler returned before anything else waits: until then only as many hold an uncounted
    /// outcome as there are threads.
    async fn run_one(
        &self,
        link: &Link,
        runner: Runner<'_>,
        draft: &Draft,
        time: &mut Allowance,
        memory: &mut Reservation,
    ) -> Result<Ran, Exhausted> {
        let Runner { version, granted, payer } = runner;
        let Some(left) = time.left(payer) else {
            return Ok(version.skip_for(Fault::event_time()));
        };
        let input = draft.input(&link.params);
        let context = draft.context(granted);
        let permit = |outcome| permit(outcome, draft);
        let mut ran = version.run(input, link.limits.within(left), context, permit).await;
        time.charge(payer, ran.duration);
        self.publish(version, draft, std::mem::take(&mut ran.log));
        memory.grow_by(ran.result.as_ref().map_or(0, Outcome::bytes))?;
        Ok(ran)
    }

    /// Takes a run's outcome as the link's decision, and notes it with the event.
    fn settle<'a>(&self, version: &'a Arc<Version>, ran: Ran, draft: &mut Draft) -> Decided<'a> {
        draft.record(version.id(), ran.result.as_ref().map_or(floodgate_sandbox::FAULT, Outcome::as_str));
        if let Err(fault) = &ran.result {
            version.failed(fault);
            version.warn(&draft.envelope().source, draft.id(), fault);
        }
        (version, ran.result)
    }

    /// Passes on what a handler logged: to this process's log, under the target `handler`,
    /// and to whoever follows it.
    fn publish(&self, version: &Version, draft: &Draft, lines: Vec<Line>) {
        let mut left_out = 0;
        for Line { level, message } in lines {
            let id = version.id();
            write(id.name.as_str(), id.version, draft.id(), level, &message);
            let entry = Entry {
                handler: id.name.to_string(),
                version: id.version,
                source: draft.envelope().source.clone(),
                event: draft.id().to_owned(),
                level,
                message,
            };
            left_out += usize::from(!self.tap.put(entry));
        }
        if left_out > 0 {
            version.left_out(left_out);
        }
    }
}

fn write(handler: &str, version: u32, event: &str, level: Level, message: &str) {
    match level {
        Level::Trace => tracing::trace!(target: "handler", handler, version, event, "{message}"),
        Level::Debug => tracing::debug!(target: "handler", handler, version, event, "{message}"),
        Level::Info => tracing::info!(target: "handler", handler, version, event, "{message}"),
        Level::Warn => tracing::warn!(target: "handler", handler, version, event, "{message}"),
        Level::Error => tracing::error!(target: "handler", handler, version, event, "{message}"),
    }
}

impl Link {
    fn name(&self) -> String {
        self.version.id().name.to_string()
    }

    fn drop<'a>(&self, reason: String) -> End<'a> {
        End::Stopped(Disposition::Filtered(Filtered { handler: self.name(), reason }), None)
    }

    fn respond<'a>(&self, answer: HandlerAnswer) -> End<'a> {
        let responded = Responded { handler: self.name(), status: answer.status.into() };
        End::Stopped(Disposition::Responded(responded), Some(answer))
    }

    /// What a failure ends the chain with; none where the event goes on as if this handler were not there.
    fn fail<'a>(&self, fault: Fault) -> Result<Option<End<'a>>, Rejected> {
        match self.on_fault {
            OnFault::Pass => Ok(None),
            OnFault::Reject => Err(Rejected { handler: self.version.id().name.clone(), fault }),
            OnFault::Quarantine => {
                let (kind, message) = (fault.kind().to_string(), fault.message().to_owned());
                let quarantined =
                    Quarantined { handler: self.name(), kind, message, trace: fault.into_trace() };
                Ok(Some(End::Stopped(Disposition::Quarantined(quarantined), None)))
            }
        }
    }
}

/// What a checked outcome may still not be, for this event.
fn permit(outcome: Outcome, draft: &Draft) -> Result<Outcome, Fault> {
    match &outcome {
        Outcome::Split(_) if draft.is_child() => {
            Err(Fault::output("a child of a split cannot be split again"))
        }
        Outcome::Respond(_) if draft.is_child() => {
            Err(Fault::output("a child of a split cannot be answered for"))
        }
        Outcome::Split(children) => split::check(draft, children).map(|()| outcome),
        _ => Ok(outcome),
    }
}

/// How a chain ended.
enum End<'a> {
    Passed,
    Stopped(Disposition, Option<HandlerAnswer>),
    Split(Split<'a>),
}

/// What a split left to do.
struct Split<'a> {
    link: &'a Link,
    version: &'a Arc<Version>,
    children: Vec<Child>,
    rest: &'a [Link],
}

impl End<'_> {
    fn into_parts(self) -> (Option<Disposition>, Option<HandlerAnswer>) {
        match self {
            Self::Passed => (None, None),
            Self::Stopped(disposition, answer) => (Some(disposition), answer),
            // The parent is a tombstone; its children go on.
            Self::Split(split) => {
                let filtered = Filtered { handler: split.link.name(), reason: "split".to_owned() };
                (Some(Disposition::Filtered(filtered)), None)
            }
        }
    }
}

/// Why an event was not handled. The sender should try again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotHandled {
    /// A handler failed.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// There is no memory for what a handler returned.
    #[error(transparent)]
    Memory(#[from] Exhausted),
}

/// A handler failed whose binding rejects the event then:
/// a 5xx, so that the sender tries again. It is logged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("handler {handler} failed: {fault}")]
pub struct Rejected {
    /// The handler.
    pub handler: Name,
    /// How it failed.
    #[source]
    pub fault: Fault,
}
