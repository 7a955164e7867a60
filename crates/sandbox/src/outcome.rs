//! The outcome of a handler, checked by the host.

use bytes::Bytes;
use floodgate_event::Lane;

use crate::bindings::{ChangeResult, ChildResult, InputLane, OutcomeResult, ResponseResult};
use crate::fault::Fault;
use crate::header::{self, Pair};
use crate::log::printable;

/// The most children of a split.
const MAX_CHILDREN: usize = 100;
/// The most bytes of an event type.
const MAX_TYPE_BYTES: usize = 256;
/// The most bytes of a reason. The rest is cut off.
const MAX_REASON_BYTES: usize = 1024;

/// Statuses without content (RFC 9110 §15.3.5, §15.3.6 and §15.4.5).
const WITHOUT_CONTENT: [u16; 3] = [204, 205, 304];
/// Statuses that ask for headers which only the server may set: `Proxy-Authenticate` and `Upgrade`.
const OF_THE_CONNECTION: [u16; 2] = [407, 426];

/// What a handler decided about an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The event continues unchanged.
    Pass,
    /// The event is recorded, and not delivered.
    Drop {
        /// Why, in at most 1 KiB and without control characters.
        reason: String,
    },
    /// The event continues changed.
    Change(Change),
    /// These children continue in place of the event, 1 to 100.
    Split(Vec<Child>),
    /// The sender gets this answer. The event is not delivered unless the answer says so.
    Respond(HandlerAnswer),
}

/// A change of an event. What is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The new body, within the output limit.
    pub body: Option<Bytes>,
    /// The new type: at most 256 bytes, without control characters.
    pub event_type: Option<String>,
    /// The new lane. Without one, a new type gets the source's lane for it.
    pub lane: Option<Lane>,
    /// Headers to add for consumers, checked by the host.
    pub headers: Vec<Pair>,
}

/// An answer that a handler gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlerAnswer {
    /// The status: 200 to 599, without 407 and 426.
    pub status: u16,
    /// The headers, checked by the host.
    pub headers: Vec<Pair>,
    /// The body, within the output limit.
    pub body: Bytes,
    /// True if the event continues as well.
    pub deliver: bool,
}

/// An event of a split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// The type of the child; `None` for the parent's.
    pub event_type: Option<String>,
    /// The body of the child.
    pub body: Bytes,
}

impl Outcome {
    /// The names of all outcomes.
    pub(crate) const NAMES: [&'static str; 5] = ["pass", "drop", "change", "split", "respond"];

    /// Returns the name of the outcome in envelopes and metrics.
    #[inline]
    pub const fn as_str(&self) -> &'static str {
        Self::NAMES[self.index()]
    }

    /// Returns the bytes of bodies and headers that it holds.
    #[inline]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Pass | Self::Drop { .. } => 0,
            Self::Change(change) => {
                change.body.as_ref().map_or(0, Bytes::len) + header::bytes(&change.headers)
            }
            Self::Split(children) => children.iter().map(|child| child.body.len()).sum(),
            Self::Respond(answer) => answer.body.len() + header::bytes(&answer.headers),
        }
    }

    /// The index of its name in [`NAMES`](Self::NAMES).
    pub(crate) const fn index(&self) -> usize {
        match self {
            Self::Pass => 0,
            Self::Drop { .. } => 1,
            Self::Change(_) => 2,
            Self::Split(_) => 3,
            Self::Respond(_) => 4,
        }
    }

    pub(crate) fn check(outcome: OutcomeResult) -> Result<Self, Fault> {
        match outcome {
            OutcomeResult::Pass => Ok(Self::Pass),
            OutcomeResult::Drop(reason) => Ok(Self::Drop { reason: printable(&reason, MAX_REASON_BYTES) }),
            OutcomeResult::Change(change) => Change::check(change).map(Self::Change),
            OutcomeResult::Split(children) => check_children(children).map(Self::Split),
            OutcomeResult::Respond(response) => check_response(response).map(Self::Respond),
        }
    }
}

impl Change {
    fn check(change: ChangeResult) -> Result<Self, Fault> {
        Ok(Self {
            body: change.body.map(Bytes::from),
            event_type: change.type_.map(check_type).transpose()?,
            lane: change.lane.map(lane_of),
            headers: header::check(&change.headers)?,
        })
    }
}

fn check_children(children: Vec<ChildResult>) -> Result<Vec<Child>, Fault> {
    if !(1..=MAX_CHILDREN).contains(&children.len()) {
        return Err(Fault::output(format!("a split into {}; expected 1 to {MAX_CHILDREN}", children.len())));
    }
    let check = |child: ChildResult| {
        Ok(Child { event_type: child.type_.map(check_type).transpose()?, body: child.body.into() })
    };
    children.into_iter().map(check).collect()
}

fn check_response(response: ResponseResult) -> Result<HandlerAnswer, Fault> {
    let ResponseResult { status, .. } = response;
    if !(200..=599).contains(&status) {
        return Err(Fault::output(format!("status {status}; expected 200 to 599")));
    }
    if OF_THE_CONNECTION.contains(&status) {
        return Err(Fault::output(format!(
            "status {status} is about the connection, which is not the handler's"
        )));
    }
    if WITHOUT_CONTENT.contains(&status) && !response.body.is_empty() {
        return Err(Fault::output(format!("status {status} with a body; it has none")));
    }
    Ok(HandlerAnswer {
        status,
        headers: header::check_answer(&response.headers)?,
        body: response.body.into(),
        deliver: response.deliver,
    })
}

/// Checks an event type, which goes into subscriptions, logs and headers.
fn check_type(text: String) -> Result<String, Fault> {
    if text.len() > MAX_TYPE_BYTES {
        return Err(Fault::output(format!(
            "a type of {} bytes; at most {MAX_TYPE_BYTES} are taken",
            text.len()
        )));
    }
    if text.chars().any(char::is_control) {
        return Err(Fault::output("a type with control characters"));
    }
    Ok(text)
}

fn lane_of(lane: InputLane) -> Lane {
    match lane {
        InputLane::Critical => Lane::Critical,
        InputLane::Standard => Lane::Standard,
        InputLane::Bulk => Lane::Bulk,
    }
}

impl From<Lane> for InputLane {
    #[inline]
    fn from(lane: Lane) -> Self {
        match lane {
            Lane::Critical => Self::Critical,
            Lane::Standard => Self::Standard,
            Lane::Bulk => Self::Bulk,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16) -> OutcomeResult {
        saying(status, "", &[])
    }

    fn saying(status: u16, body: &str, headers: &[&str]) -> OutcomeResult {
        let headers = headers.iter().map(|name| ((*name).to_owned(), b"1".to_vec())).collect();
        OutcomeResult::Respond(ResponseResult { status, headers, body: body.into(), deliver: false })
    }

    #[test]
    fn what_cannot_be_used_is_a_fault() {
        let typed = |text: &str| {
            OutcomeResult::Change(ChangeResult {
                body: None,
                type_: Some(text.to_owned()),
                lane: None,
                headers: Vec::new(),
            })
        };
        let child = || ChildResult { type_: None, body: Vec::new() };
        let split = |count| OutcomeResult::Split((0..count).map(|_| child()).collect());
        for bad in [
            response(199),
            response(600),
            response(100),
            response(407),
            response(426),
            saying(204, "x", &[]),
            saying(205, "x", &[]),
            saying(304, "x", &[]),
            saying(200, "", &["Date"]),
            saying(200, "", &["content-length"]),
            typed("a\nb"),
            typed(&"x".repeat(257)),
            split(0),
            split(101),
        ] {
            assert!(Outcome::check(bad).is_err());
        }
        for good in [
            response(200),
            response(204),
            response(205),
            response(599),
            saying(200, "x", &["www-authenticate"]),
            typed("a.b"),
            split(1),
            split(100),
        ] {
            assert!(Outcome::check(good).is_ok());
        }
    }
}
