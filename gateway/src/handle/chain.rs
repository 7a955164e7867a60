//! The handlers of a source, one after the other.

mod replay;

use floodgate_event::Name;
use floodgate_event::proto::event::Disposition;
use floodgate_event::proto::{Event, Filtered, Quarantined, Responded};
use floodgate_event::snapshot::Binding;
use floodgate_event::source::{OnFault, RawPolicy};

use prost::Message as _;

use super::draft::Draft;
use super::metrics::Metrics;
use super::split::{self, Birth};
use super::{Child, Engine, Fault, Handler, Level, Line, Outcome, Run};
use crate::stage::{Handled, HandlerAnswer, Verified};

pub use replay::{NotBound, Pinned};

/// A source's bound handlers. Without any, events go through as they are.
#[derive(Debug)]
pub struct Chain {
    links: Vec<Link>,
    raw: RawPolicy,
    metrics: Metrics,
}

#[derive(Clone, Debug)]
struct Link {
    binding: Binding,
    handler: Handler,
    /// The binding's parameters as text, as handlers get them.
    params: String,
}

impl Chain {
    /// Puts bindings and the handlers they name into a chain.
    pub fn new(engine: &Engine, links: Vec<(Binding, Handler)>, raw: RawPolicy) -> Self {
        let links = links.into_iter().map(|(binding, handler)| Link::new(binding, handler)).collect();
        Self { links, raw, metrics: engine.metrics().clone() }
    }

    /// Runs the handlers over an event; each sees what those before it changed.
    ///
    /// # Errors
    /// If a handler fails whose binding says `on_fault = "reject"`.
    pub async fn run(&self, event: Verified) -> Result<Handled, Rejected> {
        let shard = event.shard;
        let mut draft = Draft::new(event, self.raw);
        if self.links.is_empty() {
            return Ok(Handled { events: vec![draft.finish(None)], shard, answer: None });
        }
        // On the heap: what a guest's run takes would make the future of every request as large.
        let end = Box::pin(self.walk(&self.links, &mut draft)).await?;
        let (end, children) = match end {
            End::Split(split) => match Box::pin(self.children(&draft, &split)).await? {
                Ok(children) => (End::Split(split), children),
                Err(fault) => {
                    self.failed(split.by, &draft, &fault);
                    (split.by.fail(fault)?, Vec::new())
                }
            },
            end => (end, Vec::new()),
        };
        let (disposition, answer) = end.into_parts();
        let mut events = vec![draft.finish(disposition)];
        events.extend(children);
        Ok(Handled { events, shard, answer })
    }

    async fn walk<'a>(&'a self, links: &'a [Link], draft: &mut Draft) -> Result<End<'a>, Rejected> {
        for (index, link) in links.iter().enumerate() {
            match self.step(link, draft).await {
                Ok(Outcome::Pass) => {}
                Ok(Outcome::Change(change)) => draft.apply(change),
                Ok(Outcome::Drop { reason }) => return Ok(link.drop(reason)),
                Ok(Outcome::Respond(answer)) => return Ok(link.respond(answer)),
                Ok(Outcome::Split(children)) => {
                    return Ok(End::Split(Split { by: link, children, rest: &links[index + 1..] }));
                }
                Err(fault) => return link.fail(fault),
            }
        }
        Ok(End::Passed)
    }

    /// The rest of the chain runs over each child: what it redacts must not slip through in a split.
    /// The inner result fails if what it makes of them all outgrows a block.
    async fn children(
        &self,
        parent: &Draft,
        split: &Split<'_>,
    ) -> Result<Result<Vec<Event>, Fault>, Rejected> {
        let mut events = Vec::with_capacity(split.children.len());
        let mut bytes = parent.envelope().encoded_len();
        for (ordinal, child) in (0..).zip(&split.children) {
            let mut draft = parent.child(Birth { ordinal, by: &split.by.binding, child });
            let end = self.walk(split.rest, &mut draft).await?;
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

    async fn step(&self, link: &Link, draft: &mut Draft) -> Result<Outcome, Fault> {
        let run = link.run(draft).await;
        link.report(draft.id(), &run.log);
        let result = run.result.and_then(|outcome| permit(outcome, draft));
        let outcome = result.as_ref().map_or("fault", Outcome::as_str);
        draft.record(&link.binding, outcome);
        self.metrics.ran(&link.binding.name, outcome, run.duration);
        if let Err(fault) = &result {
            self.failed(link, draft, fault);
        }
        result
    }

    fn failed(&self, link: &Link, draft: &Draft, fault: &Fault) {
        self.metrics.failed(&link.binding.name, fault.kind());
        link.warn(draft, fault);
    }
}

impl Link {
    fn new(binding: Binding, handler: Handler) -> Self {
        let params = serde_json::Value::Object(binding.params.clone()).to_string();
        Self { binding, handler, params }
    }

    async fn run(&self, draft: &Draft) -> Run {
        let headers = draft.headers();
        self.handler.run(draft.input(&headers, &self.params)).await
    }

    fn name(&self) -> String {
        self.binding.name.to_string()
    }

    fn drop<'a>(&self, reason: String) -> End<'a> {
        End::Stopped(Disposition::Filtered(Filtered { handler: self.name(), reason }), None)
    }

    fn respond<'a>(&self, answer: HandlerAnswer) -> End<'a> {
        let responded = Responded { handler: self.name(), status: answer.status.into() };
        End::Stopped(Disposition::Responded(responded), Some(answer))
    }

    fn fail<'a>(&self, fault: Fault) -> Result<End<'a>, Rejected> {
        match self.binding.on_fault {
            OnFault::Reject => Err(Rejected { handler: self.binding.name.clone(), fault }),
            OnFault::Quarantine => {
                let (kind, message) = (fault.kind().to_string(), fault.message().to_owned());
                let quarantined = Quarantined { handler: self.name(), kind, message };
                Ok(End::Stopped(Disposition::Quarantined(quarantined), None))
            }
        }
    }

    /// Passes on what the handler logged, under the target `handler`.
    fn report(&self, event: &str, lines: &[Line]) {
        let (name, version) = (self.binding.name.as_str(), self.binding.version);
        for Line { level, message } in lines {
            match level {
                Level::Trace => {
                    tracing::trace!(target: "handler", handler = name, version, event, "{message}")
                }
                Level::Debug => {
                    tracing::debug!(target: "handler", handler = name, version, event, "{message}")
                }
                Level::Info => tracing::info!(target: "handler", handler = name, version, event, "{message}"),
                Level::Warn => tracing::warn!(target: "handler", handler = name, version, event, "{message}"),
                Level::Error => {
                    tracing::error!(target: "handler", handler = name, version, event, "{message}")
                }
            }
        }
    }

    fn warn(&self, draft: &Draft, fault: &Fault) {
        tracing::warn!(
            handler = self.binding.name.as_str(),
            version = self.binding.version,
            source = draft.envelope().source,
            event = draft.id(),
            kind = fault.kind().as_str(),
            fault = fault.message(),
            "handler failed"
        );
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
    by: &'a Link,
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
                let filtered = Filtered { handler: split.by.name(), reason: "split".to_owned() };
                (Some(Disposition::Filtered(filtered)), None)
            }
        }
    }
}

/// A handler failed whose binding rejects the event then: a 5xx, so that the sender tries again. It is logged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("handler {handler} failed: {fault}")]
pub struct Rejected {
    /// The handler.
    pub handler: Name,
    /// How it failed.
    #[source]
    pub fault: Fault,
}
