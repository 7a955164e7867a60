use std::cell::OnceCell;

use crate::event::Request;
use crate::{Event, Lane};

/// Makes events for tests. What is not set is what a plain `POST` of a source named `test` has.
#[derive(Clone, Debug)]
pub struct Builder {
    event: Event,
    request: Request,
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
    /// Sets the id.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.event.id = id.into();
        self
    }

    /// Sets the source.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.event.source = source.into();
        self
    }

    /// Sets the type.
    pub fn event_type(mut self, event_type: impl Into<String>) -> Self {
        self.event.event_type = event_type.into();
        self
    }

    /// Sets the provider's id.
    pub fn provider_id(mut self, id: impl Into<String>) -> Self {
        self.event.provider_id = id.into();
        self
    }

    /// Sets the lane.
    pub fn lane(mut self, lane: Lane) -> Self {
        self.event.lane = lane;
        self
    }

    /// Sets the path and, if there is a `?`, the query.
    pub fn uri(mut self, uri: &str) -> Self {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        self.request.path = path.into();
        self.request.query = query.into();
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.request.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.event.body = body.into();
        self
    }

    /// Sets the time of receipt: Unix time in microseconds.
    pub fn received_at_us(mut self, micros: u64) -> Self {
        self.event.received_at_us = micros;
        self
    }

    /// The event.
    pub fn build(self) -> Event {
        Event { request: self.request.into(), ..self.event }
    }
}
