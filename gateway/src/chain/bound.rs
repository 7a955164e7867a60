//! A handler as a source binds it, and the ways in which it can end the chain for an event.

use std::sync::Arc;

use floodgate_event::Name;
use floodgate_event::proto::event::Disposition;
use floodgate_event::proto::{Filtered, Quarantined, Responded};
use floodgate_event::source::OnFault;
use floodgate_sandbox::{Child, Fault, Granted, HandlerAnswer, RunLimits};

use super::trial::Trial;
use super::version::Version;

/// A handler in a source's chain.
#[derive(Clone, Debug)]
pub struct BoundHandler {
    /// The version that the source binds.
    pub version: Arc<Version>,
    /// The binding's parameters as text, as handlers get them.
    pub params: String,
    /// What the binding grants.
    pub granted: Arc<Granted>,
    /// What the handler may use up for one event.
    pub limits: RunLimits,
    /// What happens to an event that the handler fails on.
    pub on_fault: OnFault,
    /// Another version that runs beside it on a share of the events.
    pub trial: Option<Trial>,
}

impl BoundHandler {
    fn name(&self) -> String {
        self.version.id().name.to_string()
    }

    pub(super) fn drop<'a>(&self, reason: String) -> End<'a> {
        End::Stopped(Disposition::Filtered(Filtered { handler: self.name(), reason }), None)
    }

    pub(super) fn respond<'a>(&self, answer: HandlerAnswer) -> End<'a> {
        let responded = Responded { handler: self.name(), status: answer.status.into() };
        End::Stopped(Disposition::Responded(responded), Some(answer))
    }

    /// Returns how a failure ends the chain. `None` if the event continues as if this handler were not there.
    pub(super) fn fail<'a>(&self, fault: Fault) -> Result<Option<End<'a>>, Rejected> {
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

/// How a chain ended.
pub(super) enum End<'a> {
    Passed,
    Stopped(Disposition, Option<HandlerAnswer>),
    Split(Split<'a>),
}

/// A split, whose children still have to go through the rest of the chain.
pub(super) struct Split<'a> {
    pub(super) handler: &'a BoundHandler,
    pub(super) version: &'a Arc<Version>,
    pub(super) children: Vec<Child>,
    /// The handlers that each child still goes through.
    pub(super) rest: &'a [BoundHandler],
}

impl End<'_> {
    pub(super) fn into_parts(self) -> (Option<Disposition>, Option<HandlerAnswer>) {
        match self {
            Self::Passed => (None, None),
            Self::Stopped(disposition, answer) => (Some(disposition), answer),
            // The parent is stored as a tombstone, and its children continue.
            Self::Split(split) => {
                let filtered = Filtered { handler: split.handler.name(), reason: "split".to_owned() };
                (Some(Disposition::Filtered(filtered)), None)
            }
        }
    }
}

/// A handler failed, and its binding says `on_fault = "reject"`. The sender gets a 500 and tries again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("handler {handler} failed: {fault}")]
pub struct Rejected {
    /// The name of the handler.
    pub handler: Name,
    /// How the handler failed.
    #[source]
    pub fault: Fault,
}
