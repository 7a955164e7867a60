use serde::Serialize;

use crate::Lane;

/// What a handler decides about an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It goes on unchanged.
    Pass,
    /// A record is kept with this reason (cut after 1 KiB), and nothing is delivered.
    Drop(String),
    /// It goes on changed.
    Change(Change),
    /// These go on instead.
    Split(Vec<Child>),
    /// The sender gets this answer; a record is kept, and nothing is delivered unless it says so.
    Respond(Response),
}

impl Outcome {
    /// Goes on unchanged.
    pub fn pass() -> Self {
        Self::Pass
    }

    /// Drops the event.
    pub fn drop(reason: impl Into<String>) -> Self {
        Self::Drop(reason.into())
    }

    /// Begins a change.
    ///
    /// ```
    /// use floodgate_sdk::{Lane, Outcome};
    ///
    /// let outcome: Outcome = Outcome::change().body("{}").lane(Lane::Bulk).header("x-seen-by", "me").into();
    /// # assert!(matches!(outcome, Outcome::Change(_)));
    /// ```
    pub fn change() -> Change {
        Change::default()
    }

    /// Goes on with 1 to 100 other events instead. The handlers that follow see each of them.
    pub fn split(children: impl IntoIterator<Item = Child>) -> Self {
        Self::Split(children.into_iter().collect())
    }

    /// Begins an answer to the sender; `status` is 200 to 599.
    pub fn respond(status: u16) -> Response {
        Response { status, headers: Vec::new(), body: Vec::new(), deliver: false }
    }
}

/// What to change of an event; what is not set stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) event_type: Option<String>,
    pub(crate) lane: Option<Lane>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

impl Change {
    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sets the body to a value's JSON.
    ///
    /// # Errors
    /// If the value has no JSON form, such as a map with keys that are not text.
    pub fn json(self, body: &impl Serialize) -> Result<Self, serde_json::Error> {
        serde_json::to_vec(body).map(|bytes| self.body(bytes))
    }

    /// Sets the type, at most 256 bytes. Unless a lane is set too, the source's lane
    /// for the new type is taken.
    pub fn event_type(mut self, event_type: impl Into<String>) -> Self {
        self.event_type = Some(event_type.into());
        self
    }

    /// Sets the lane.
    pub fn lane(mut self, lane: Lane) -> Self {
        self.lane = Some(lane);
        self
    }

    /// Adds a header for consumers; `content-type` replaces the event's content type.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

impl From<Change> for Outcome {
    fn from(change: Change) -> Self {
        Self::Change(change)
    }
}

/// An event made out of another. It travels in its parent's lane and has the parent's headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    pub(crate) event_type: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Child {
    /// A child of the parent's type.
    pub fn new(body: impl Into<Vec<u8>>) -> Self {
        Self { event_type: None, body: body.into() }
    }

    /// Sets the type.
    pub fn event_type(mut self, event_type: impl Into<String>) -> Self {
        self.event_type = Some(event_type.into());
        self
    }
}

/// An answer to the sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    pub(crate) deliver: bool,
}

impl Response {
    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Lets the event go on all the same: to the handlers that follow, and to consumers.
    pub fn deliver(mut self) -> Self {
        self.deliver = true;
        self
    }
}

impl From<Response> for Outcome {
    fn from(response: Response) -> Self {
        Self::Respond(response)
    }
}
