//! Runs one handler of a chain over an event: the promoted version, and the version on trial beside it.

use std::sync::Arc;

use floodgate_listen::Exhausted;
use floodgate_sandbox::{FAULT, Fault, Granted, Level, Line, Outcome};

use super::Chain;
use super::bound::BoundHandler;
use super::budget::{EventBudget, RunKind};
use super::event::InProgress;
use super::logs::LogLine;
use super::split;
use super::trial::Trial;
use super::version::{Version, VersionRun};

/// A version that runs over an event.
struct Runner<'a> {
    version: &'a Version,
    granted: &'a Arc<Granted>,
    kind: RunKind,
}

impl<'a> Runner<'a> {
    fn promoted(handler: &'a BoundHandler) -> Self {
        Self { version: &handler.version, granted: &handler.granted, kind: RunKind::Promoted }
    }

    fn tried(trial: &'a Trial) -> Self {
        Self { version: trial.version(), granted: trial.granted(), kind: RunKind::Tried }
    }
}

/// What a handler decided, and the version that decided it.
type Decided<'a> = (&'a Arc<Version>, Result<Outcome, Fault>);

impl Chain {
    pub(super) async fn step<'a>(
        &self,
        handler: &'a BoundHandler,
        event: &mut InProgress,
        budget: &mut EventBudget,
    ) -> Result<Decided<'a>, Exhausted> {
        let takes = |trial: &&Trial| event.event_id().is_some_and(|id| trial.takes(&id));
        let has_time = budget.time_left(RunKind::Tried).is_some();
        match handler.trial.as_ref().filter(takes).filter(|_| has_time) {
            Some(trial) => self.run_both(handler, trial, event, budget).await,
            None => {
                let ran = self.run_one(handler, Runner::promoted(handler), event, budget).await?;
                Ok(self.settle(&handler.version, ran, event))
            }
        }
    }

    /// Runs both versions over the event. Returns the outcome of the promoted one, or that of a canary that
    /// did not fail.
    async fn run_both<'a>(
        &self,
        handler: &'a BoundHandler,
        trial: &'a Trial,
        event: &mut InProgress,
        budget: &mut EventBudget,
    ) -> Result<Decided<'a>, Exhausted> {
        let tried = self.run_one(handler, Runner::tried(trial), event, budget).await?;
        let promoted = self.run_one(handler, Runner::promoted(handler), event, budget).await?;
        trial.compare(event.id(), &event.envelope().source, &promoted, &tried);
        if trial.prevails(&tried) {
            return Ok(self.settle(trial.version(), tried, event));
        }
        if trial.is_canary() {
            drop(self.settle(trial.version(), tried, event));
        } else if let Err(fault) = &tried.result {
            trial.version().failed(fault);
        }
        Ok(self.settle(&handler.version, promoted, event))
    }

    /// Counts what the handler returned before anything else waits. Until then, there are at most as many
    /// uncounted outcomes as threads.
    async fn run_one(
        &self,
        handler: &BoundHandler,
        runner: Runner<'_>,
        event: &InProgress,
        budget: &mut EventBudget,
    ) -> Result<VersionRun, Exhausted> {
        let Runner { version, granted, kind } = runner;
        let Some(left) = budget.time_left(kind) else {
            return Ok(version.skip_for(Fault::event_time()));
        };
        let input = event.input(&handler.params);
        let context = event.context(granted);
        let permit = |outcome| permit(outcome, event);
        let mut ran = version.run(input, handler.limits.within(left), context, permit).await;
        budget.charge(kind, ran.duration);
        self.publish(version, event, std::mem::take(&mut ran.log));
        budget.hold(ran.result.as_ref().map_or(0, Outcome::bytes))?;
        Ok(ran)
    }

    /// Takes the outcome of a run as the handler's decision, and records it in the envelope.
    fn settle<'a>(&self, version: &'a Arc<Version>, ran: VersionRun, event: &mut InProgress) -> Decided<'a> {
        event.record(version.id(), ran.result.as_ref().map_or(FAULT, Outcome::as_str));
        if let Err(fault) = &ran.result {
            version.failed(fault);
            version.warn(&event.envelope().source, event.id(), fault);
        }
        (version, ran.result)
    }

    /// Passes on the lines of a handler: to this process's log, under the target `handler`, and to the queue
    /// for NATS.
    fn publish(&self, version: &Version, event: &InProgress, lines: Vec<Line>) {
        let mut left_out = 0;
        for Line { level, message } in lines {
            let id = version.id();
            write(id.name.as_str(), id.version, event.id(), level, &message);
            let line = LogLine {
                handler: id.name.to_string(),
                version: id.version,
                source: event.envelope().source.clone(),
                event: event.id().to_owned(),
                level,
                message,
            };
            left_out += usize::from(!self.logs.try_send(line));
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

/// Refuses an outcome that was checked, and that this event still cannot have.
fn permit(outcome: Outcome, event: &InProgress) -> Result<Outcome, Fault> {
    match &outcome {
        Outcome::Split(_) if event.is_child() => {
            Err(Fault::output("a child of a split cannot be split again"))
        }
        Outcome::Respond(_) if event.is_child() => {
            Err(Fault::output("a child of a split cannot be answered for"))
        }
        Outcome::Split(children) => split::check(event.envelope(), children).map(|()| outcome),
        _ => Ok(outcome),
    }
}
