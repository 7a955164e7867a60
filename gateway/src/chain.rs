//! Runs the handlers that a source binds, one after the other, over its events: versions, their breakers and
//! metrics, trials and splits. The handlers themselves run in [`floodgate_sandbox`].
//!
//! A [`Chain`] is the only thing that turns a [`Verified`] event into a [`Handled`] one.

mod bound;
mod breaker;
mod budget;
mod event;
mod logs;
mod replay;
mod run;
mod split;
mod trial;
mod version;
mod version_id;
mod warnings;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use floodgate_event::proto::Event;
use floodgate_event::source::RawPolicy;
use floodgate_listen::Exhausted;
use floodgate_sandbox::{Fault, Outcome};
use prost::Message as _;

use self::bound::{End, Split};
use self::budget::EventBudget;
use self::event::InProgress;
use self::split::NewChild;
use crate::stage::{Handled, Verified};

pub use self::bound::{BoundHandler, Rejected};
pub use self::logs::{LogLine, LogSender};
pub use self::replay::NotBound;
pub use self::trial::{Comparison, Trial};
pub use self::version::{Version, Versions};
pub use self::version_id::VersionId;

/// The handlers that a source binds, in order. Without handlers, events continue unchanged.
#[derive(Debug)]
pub struct Chain {
    handlers: Vec<BoundHandler>,
    raw: RawPolicy,
    logs: LogSender,
}

impl Chain {
    /// Makes a chain of these handlers. `logs` gets the lines that they log.
    pub fn new(handlers: Vec<BoundHandler>, raw: RawPolicy, logs: LogSender) -> Self {
        Self { handlers, raw, logs }
    }

    /// Returns the versions that run on every event.
    pub fn versions(&self) -> impl Iterator<Item = &Arc<Version>> {
        self.handlers.iter().map(|handler| &handler.version)
    }

    /// Returns true if the source binds any handler.
    pub(crate) fn has_handlers(&self) -> bool {
        !self.handlers.is_empty()
    }

    /// Runs the handlers over an event. Each sees what those before it changed.
    ///
    /// # Errors
    /// If a handler fails whose binding says `on_fault = "reject"`, or there is no
    /// memory for what one returned.
    pub async fn run(&self, event: Verified) -> Result<Handled, NotHandled> {
        let shard = event.shard;
        let (mut event, memory) = InProgress::new(event, self.raw);
        let Some(first) = self.handlers.first() else {
            return Ok(Handled { events: vec![event.finish(None)], shard, answer: None, memory });
        };
        // All handlers run on one engine.
        let mut budget = EventBudget::new(first.version.event_time(), memory);
        let (end, children) = self.decide(&mut event, &mut budget).await?;
        let (disposition, answer) = end.into_parts();
        let answer = event.take_answer().or(answer);
        let mut events = vec![event.finish(disposition)];
        events.extend(children);
        Ok(Handled { events, shard, answer, memory: budget.into_memory() })
    }

    /// Runs the chain. Returns how it ends for the event, and the children of a split.
    async fn decide<'a>(
        &'a self,
        event: &mut InProgress,
        budget: &mut EventBudget,
    ) -> Result<(End<'a>, Vec<Event>), NotHandled> {
        let mut handlers = &self.handlers[..];
        loop {
            let split = match self.walk(handlers, event, budget).await? {
                End::Split(split) => split,
                end => return Ok((end, Vec::new())),
            };
            let fault = match self.children(event, &split, budget).await? {
                Ok(children) => return Ok((End::Split(split), children)),
                Err(fault) => fault,
            };
            split.version.failed(&fault);
            split.version.warn(&event.envelope().source, event.id(), &fault);
            match split.handler.fail(fault)? {
                Some(end) => return Ok((end, Vec::new())),
                None => handlers = split.rest,
            }
        }
    }

    async fn walk<'a>(
        &'a self,
        handlers: &'a [BoundHandler],
        event: &mut InProgress,
        budget: &mut EventBudget,
    ) -> Result<End<'a>, NotHandled> {
        for (index, handler) in handlers.iter().enumerate() {
            let (version, result) = self.step(handler, event, budget).await?;
            match result {
                Ok(Outcome::Pass) => {}
                Ok(Outcome::Change(change)) => event.apply(change),
                Ok(Outcome::Drop { reason }) => return Ok(handler.drop(reason)),
                Ok(Outcome::Respond(answer)) if answer.deliver => event.answer(answer),
                Ok(Outcome::Respond(answer)) => return Ok(handler.respond(answer)),
                Ok(Outcome::Split(children)) => {
                    let rest = &handlers[index + 1..];
                    return Ok(End::Split(Split { handler, version, children, rest }));
                }
                Err(fault) => {
                    if let Some(end) = handler.fail(fault)? {
                        return Ok(end);
                    }
                }
            }
        }
        Ok(End::Passed)
    }

    /// Runs the rest of the chain over each child, because a handler that redacts must also see the children
    /// of a split. The children share their parent's time. One that has no time left fails by itself, so that
    /// a replay gives it time again. The inner result is an error if the children together outgrow a block.
    async fn children(
        &self,
        parent: &InProgress,
        split: &Split<'_>,
        budget: &mut EventBudget,
    ) -> Result<Result<Vec<Event>, Fault>, NotHandled> {
        let mut events = Vec::with_capacity(split.children.len());
        let mut bytes = parent.envelope().encoded_len();
        for (ordinal, child) in (0..).zip(&split.children) {
            let mut event = parent.child(NewChild { ordinal, by: &split.version.id().digest, child });
            let end = self.walk(split.rest, &mut event, budget).await?;
            let (disposition, _) = end.into_parts();
            let event = event.finish(disposition);
            bytes += event.encoded_len();
            if let Err(fault) = split::check_size(bytes) {
                return Ok(Err(fault));
            }
            events.push(event);
        }
        Ok(Ok(events))
    }
}

/// Why an event was not handled. The sender should try again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotHandled {
    /// A handler failed whose binding rejects the event then.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// There is no memory for what a handler returned.
    #[error(transparent)]
    Memory(#[from] Exhausted),
}
