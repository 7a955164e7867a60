use std::cell::OnceCell;

use crate::event::Event;
use crate::lane::Lane;
use crate::request::Request;

/// Makes events for tests; [`Event::builder`] begins one. What is not set is that of a plain `POST` to a
/// source named `test` in a region named `test`: an empty body and type, the lane `standard`, no headers,
/// received at the Unix epoch.
#[derive(Clone, Debug)]
pub struct Builder {
    event: Event,
    request: Request,
}

impl Event {
    /// Begins an event for a test.
    ///
    /// ```
    /// use floodgate_sdk::Event;
    ///
    /// let event = Event::builder().event_type("push").uri("/in/test?branch=main").body("{}").build();
    /// assert_eq!((event.event_type(), event.query()), ("push", "branch=main"));
    /// ```
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl Default for Builder {
    fn default() -> Self {
        let event = Event {
            id: "evt_00000000000000000000000000".into(),
            tenant: "default".into(),
            source: "test".into(),
            event_type: String::new(),
            provider_id: String::new(),
            region: "test".into(),
            lane: Lane::Standard,
            request: OnceCell::new(),
            body: Vec::new(),
            received_at_us: 0,
        };
        let request = Request { method: "POST".into(), path: "/in/test".into(), ..Request::default() };
        Self { event, request }
    }
}

impl Builder {
    /// Sets the id. A gateway's ids are `evt_` and 26 characters; any text is taken here.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.event.id = id.into();
        self
    }

    /// Sets the name of the source.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.event.source = source.into();
        self
    }

    /// Sets the event type, such as `invoice.paid`.
    pub fn event_type(mut self, event_type: impl Into<String>) -> Self {
        self.event.event_type = event_type.into();
        self
    }

    /// Sets the provider's own id of the event.
    pub fn provider_id(mut self, id: impl Into<String>) -> Self {
        self.event.provider_id = id.into();
        self
    }

    /// Sets the lane that the event is in.
    pub fn lane(mut self, lane: Lane) -> Self {
        self.event.lane = lane;
        self
    }

    /// Sets the path and, if there is a `?`, the query behind it.
    pub fn uri(mut self, uri: &str) -> Self {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        self.request.path = path.into();
        self.request.query = query.into();
        self
    }

    /// Adds a header. A second one of the same name does not replace the first.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.request.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body, as it is after content decoding.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.event.body = body.into();
        self
    }

    /// Sets the time of receipt: Unix time in microseconds.
    pub fn received_at_us(mut self, micros: u64) -> Self {
        self.event.received_at_us = micros;
        self
    }

    /// Returns the event with all that was set.
    pub fn build(self) -> Event {
        Event { request: self.request.into(), ..self.event }
    }
}
