//! An event while it goes through a chain.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use floodgate_event::proto::event::Disposition;
use floodgate_event::proto::{self, Event, HandlerRun, Header};
use floodgate_event::source::{Intake, RawPolicy};
use floodgate_event::{EventId, Lane};
use floodgate_listen::Reservation;
use floodgate_sandbox::{Change, Context, Granted, HandlerAnswer, HeaderPair, Input};
use http::header::CONTENT_TYPE;

use super::split::NewChild;
use super::version_id::VersionId;
use crate::stage::Verified;

/// An event as it was received, with what the handlers so far changed.
pub(crate) struct InProgress {
    /// The envelope as received, without raw bytes and payload. Runs share it.
    envelope: Arc<Event>,
    intake: Arc<Intake>,
    /// The signed bytes, if they are kept with the event.
    raw: Option<Bytes>,
    /// The body as received, after content decoding.
    received: Bytes,
    /// The id as text for handlers, made when the first one asks.
    id: OnceLock<String>,
    body: Bytes,
    event_type: String,
    lane: Lane,
    lane_is_chosen: bool,
    content_type: String,
    added: Vec<HeaderPair>,
    runs: Vec<HandlerRun>,
    /// The answer of a handler that lets the event continue.
    answer: Option<HandlerAnswer>,
}

impl InProgress {
    /// Returns the event together with the memory that it is counted in.
    pub(crate) fn new(verified: Verified, policy: RawPolicy) -> (Self, Reservation) {
        let Verified { event, raw, body, intake, memory, .. } = verified;
        let raw = raw.filter(|_| policy == RawPolicy::Keep);
        (Self::of(event, intake, raw, body), memory)
    }

    pub(crate) fn of(envelope: Event, intake: Arc<Intake>, raw: Option<Bytes>, body: Bytes) -> Self {
        // `verify` only writes known lanes.
        let lane = Lane::try_from(envelope.lane).unwrap_or_default();
        Self {
            id: OnceLock::new(),
            raw,
            intake,
            received: body.clone(),
            body,
            event_type: envelope.r#type.clone(),
            lane,
            lane_is_chosen: false,
            content_type: envelope.content_type.clone(),
            added: Vec::new(),
            runs: Vec::new(),
            answer: None,
            envelope: Arc::new(envelope),
        }
    }

    pub(crate) fn id(&self) -> &str {
        self.id.get_or_init(|| self.event_id().map(|id| id.to_string()).unwrap_or_default())
    }

    /// Never missing: `verify` writes 16 bytes.
    pub(crate) fn event_id(&self) -> Option<EventId> {
        EventId::try_from(&*self.envelope.id).ok()
    }

    pub(crate) fn envelope(&self) -> &Event {
        &self.envelope
    }

    pub(crate) fn is_child(&self) -> bool {
        self.envelope.parent.is_some()
    }

    /// What a handler may ask the host for.
    pub(crate) fn context(&self, granted: &Arc<Granted>) -> Context {
        Context::new(Arc::clone(&self.envelope), Arc::clone(granted)).adding(&self.added)
    }

    /// The event as a handler sees it.
    pub(crate) fn input<'a>(&'a self, params: &'a str) -> Input<'a> {
        Input {
            id: self.id(),
            tenant: &self.envelope.tenant,
            source: &self.envelope.source,
            type_: &self.event_type,
            provider_id: &self.envelope.provider_id,
            region: &self.envelope.region,
            lane: self.lane.into(),
            body: &self.body,
            received_at: self.envelope.received_at_us,
            params,
        }
    }

    /// Adds a run to the envelope, with its outcome.
    pub(crate) fn record(&mut self, by: &VersionId, outcome: &str) {
        self.runs.push(HandlerRun {
            name: by.name.to_string(),
            version: by.version,
            digest: by.digest.as_bytes().to_vec(),
            outcome: outcome.to_owned(),
        });
    }

    pub(crate) fn apply(&mut self, change: Change) {
        if let Some(body) = change.body {
            self.body = body;
        }
        self.move_to(change.lane, change.event_type.as_deref());
        if let Some(event_type) = change.event_type {
            self.event_type = event_type;
        }
        for (name, value) in change.headers {
            if name == CONTENT_TYPE {
                self.content_type = String::from_utf8_lossy(value.as_bytes()).into_owned();
                self.added.retain(|(name, _)| *name != CONTENT_TYPE);
                if value.to_str().is_ok() {
                    continue;
                }
                // The text loses bytes that are not UTF-8, so the bytes are kept too.
            }
            self.added.push((name, value));
        }
    }

    /// Moves the event to the lane that a handler chose, or else to the source's lane for a new type. A lane
    /// that an earlier handler chose stays. So do children, because they share their parent's block.
    fn move_to(&mut self, chosen: Option<Lane>, new_type: Option<&str>) {
        if self.is_child() {
            return;
        }
        if let Some(lane) = chosen {
            self.lane = lane;
            self.lane_is_chosen = true;
        } else if let Some(new_type) = new_type.filter(|_| !self.lane_is_chosen) {
            self.lane = self.intake.lane_of(new_type);
        }
    }

    /// Sets the answer to the sender. Only the first answer counts.
    pub(crate) fn answer(&mut self, answer: HandlerAnswer) {
        self.answer.get_or_insert(answer);
    }

    pub(crate) fn take_answer(&mut self) -> Option<HandlerAnswer> {
        self.answer.take()
    }

    /// Makes a child of this event, before the rest of the chain runs over it.
    pub(crate) fn child(&self, new: NewChild<'_>) -> Self {
        let envelope = new.envelope(&self.envelope, &self.event_type, self.lane);
        Self::of(envelope, Arc::clone(&self.intake), None, new.child.body.clone())
    }

    /// Makes the envelope that is stored. What it holds depends on the disposition.
    pub(crate) fn finish(mut self, disposition: Option<Disposition>) -> Event {
        let mut event = Arc::unwrap_or_clone(std::mem::take(&mut self.envelope));
        event.handlers = std::mem::take(&mut self.runs);
        match disposition {
            Some(Disposition::Quarantined(_)) => self.leave_as_received(&mut event),
            Some(Disposition::Filtered(_) | Disposition::Responded(_)) => self.leave_changes(&mut event),
            None => {
                self.leave_body(&mut event);
                self.leave_changes(&mut event);
                self.leave_raw(&mut event);
            }
        }
        event.disposition = disposition;
        event
    }

    /// Keeps what a later version of the handler needs to run again.
    fn leave_as_received(&mut self, event: &mut Event) {
        self.body = self.received.clone();
        self.leave_body(event);
        self.leave_raw(event);
    }

    fn leave_body(&self, event: &mut Event) {
        event.payload = self.payload();
        event.payload_is_raw_decoded =
            self.raw.is_some() && event.payload.is_some() && self.body == self.received;
    }

    fn leave_changes(&mut self, event: &mut Event) {
        event.r#type = std::mem::take(&mut self.event_type);
        event.lane = proto::Lane::from(self.lane).into();
        event.content_type = std::mem::take(&mut self.content_type);
        event.added_headers = self.added.drain(..).map(header).collect();
    }

    fn leave_raw(&mut self, event: &mut Event) {
        if let Some(request) = &mut event.request {
            request.raw = self.raw.take();
        }
    }

    /// None if the raw bytes are the same.
    fn payload(&self) -> Option<Bytes> {
        match &self.raw {
            Some(raw) if *raw == self.body => None,
            _ => Some(self.body.clone()),
        }
    }
}

fn header((name, value): HeaderPair) -> Header {
    Header { name: name.as_str().to_owned(), value: Bytes::copy_from_slice(value.as_bytes()) }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn finished(values: &[(&'static str, &[u8])]) -> Event {
        let intake = Arc::new(serde_json::from_str("{}").unwrap());
        let mut event = InProgress::of(Event::default(), intake, None, Bytes::new());
        for (name, value) in values {
            let pair = (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
            event.apply(Change { headers: vec![pair], ..Change::default() });
        }
        event.finish(None)
    }

    #[test]
    fn a_content_type_keeps_its_bytes_and_the_last_one_counts() {
        let odd = finished(&[("content-type", b"a/b"), ("content-type", b"a/b; c=\xe4"), ("x", b"\xff")]);
        assert_eq!(odd.content_type, "a/b; c=\u{fffd}");
        let added: Vec<_> = odd.added_headers.iter().map(|pair| (&*pair.name, &*pair.value)).collect();
        assert_eq!(added, [("content-type", &b"a/b; c=\xe4"[..]), ("x", b"\xff")]);
        let plain = finished(&[("content-type", b"a/b; c=\xe4"), ("content-type", b"a/b")]);
        assert_eq!((plain.content_type.as_str(), plain.added_headers.len()), ("a/b", 0));
    }
}
