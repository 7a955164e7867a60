use serde::Serialize;

use crate::lane::Lane;

/// What a handler decides about an event. The functions of this type make one of each kind.
///
/// The gateway checks an outcome before it uses it. One that breaks a bound named here, or is larger than the
/// binding's `limits.output_bytes` (3 MiB by default), is a fault of kind `output`, and the source's
/// `on_fault` applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The event continues unchanged.
    Pass,
    /// The event is recorded with this reason, which is cut after 1 KiB, and is not delivered. The sender
    /// still gets the source's 2xx.
    Drop(String),
    /// The event continues changed.
    Change(Change),
    /// The event is recorded, and 1 to 100 children continue in its place.
    Split(Vec<Child>),
    /// The sender gets this answer. The event is recorded, and is not delivered unless the answer says so.
    Respond(Response),
}

impl Outcome {
    /// Lets the event continue unchanged.
    pub fn pass() -> Self {
        Self::Pass
    }

    /// Keeps the event from being delivered. The reason is stored with the event's record, cut after 1 KiB.
    pub fn drop(reason: impl Into<String>) -> Self {
        Self::Drop(reason.into())
    }

    /// Begins a change of the event. What the change does not name stays as it is.
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

    /// Replaces the event by 1 to 100 others, each with an id derived from the event's. The handlers that
    /// follow see each of them; there none can be split again or answered for.
    ///
    /// ```
    /// use floodgate_sdk::{Child, Event, Outcome};
    ///
    /// fn handle(event: &Event) -> Result<Outcome, serde_json::Error> {
    ///     let lines: Vec<serde_json::Value> = event.json()?;
    ///     Ok(Outcome::split(lines.iter().map(|line| Child::new(line.to_string()).event_type("line.added"))))
    /// }
    ///
    /// let expected = [1, 2].map(|line| Child::new(line.to_string()).event_type("line.added"));
    /// assert_eq!(handle(&Event::builder().body("[1, 2]").build())?, Outcome::split(expected));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn split(children: impl IntoIterator<Item = Child>) -> Self {
        Self::Split(children.into_iter().collect())
    }

    /// Begins an answer to the sender, in place of the source's 2xx. `status` is 200 to 599, without 407 and
    /// 426.
    ///
    /// ```
    /// use floodgate_sdk::{Event, Outcome};
    ///
    /// /// Answers a provider's handshake, and lets everything else pass.
    /// fn handle(event: &Event) -> Outcome {
    ///     match event.header("x-challenge") {
    ///         Some(challenge) => {
    ///             Outcome::respond(200).header("content-type", "text/plain").body(challenge).into()
    ///         }
    ///         None => Outcome::pass(),
    ///     }
    /// }
    /// # let event = Event::builder().header("x-challenge", "a").build();
    /// # assert!(matches!(handle(&event), Outcome::Respond(_)));
    /// ```
    pub fn respond(status: u16) -> Response {
        Response { status, headers: Vec::new(), body: Vec::new(), deliver: false }
    }
}

/// A change of an event; [`Outcome::change`] begins one. What is not set stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) event_type: Option<String>,
    pub(crate) lane: Option<Lane>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

impl Change {
    /// Replaces the body. An [`Edit`](crate::Edit) is taken as it is.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Replaces the body with a value's JSON, without white space. To change a part of the body and keep the
    /// rest byte for byte, use [`Event::edit`](crate::Event::edit).
    ///
    /// # Errors
    /// If the value has no JSON form, such as a map whose keys are not text.
    pub fn json(self, body: &impl Serialize) -> Result<Self, serde_json::Error> {
        serde_json::to_vec(body).map(|bytes| self.body(bytes))
    }

    /// Replaces the event type: at most 256 bytes, without control characters. Unless the change sets a lane
    /// too, the event gets the source's lane for the new type.
    pub fn event_type(mut self, event_type: impl Into<String>) -> Self {
        self.event_type = Some(event_type.into());
        self
    }

    /// Moves the event to another lane.
    pub fn lane(mut self, lane: Lane) -> Self {
        self.lane = Some(lane);
        self
    }

    /// Adds a header that consumers get; `content-type` replaces the event's content type. At most 64 headers
    /// with 16 KiB of names and values.
    ///
    /// A handler may not set headers of the connection or its framing (`Connection`, `Content-Length`,
    /// `Transfer-Encoding`, `Upgrade` and the like), nor names that begin with `webhook-` or `floodgate-`.
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

/// An event of a split. It has its parent's lane and headers, and an id derived from the parent's, so that a
/// repeated webhook gives the same children.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    pub(crate) event_type: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Child {
    /// Makes a child with this body and the parent's type.
    pub fn new(body: impl Into<Vec<u8>>) -> Self {
        Self { event_type: None, body: body.into() }
    }

    /// Gives the child a type of its own: at most 256 bytes, without control characters.
    pub fn event_type(mut self, event_type: impl Into<String>) -> Self {
        self.event_type = Some(event_type.into());
        self
    }
}

/// An answer to the sender; [`Outcome::respond`] begins one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    pub(crate) deliver: bool,
}

impl Response {
    /// Adds a header to the answer: at most 64 headers with 16 KiB of names and values. Besides what
    /// [`Change::header`] refuses, an answer may not set `Date`, `Alt-Svc` or `Proxy-Authenticate`.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body of the answer. An answer with status 204, 205 or 304 must not have one.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Lets the event continue as well: to the handlers that follow, and to consumers. The sender gets the
    /// first answer of the chain.
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
