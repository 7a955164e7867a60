//! What a run takes from beyond its input, when it asks: the request, the moment, what the binding grants.

use std::sync::Arc;

use floodgate_event::proto::Event;

use crate::bindings::RequestResult;
use crate::grant::Granted;
use crate::header::Pair;

/// What a run may ask the host for. Shares the event's envelope:
/// the request is copied only for a handler that asks.
#[derive(Clone, Debug, Default)]
pub struct Context {
    envelope: Arc<Event>,
    added: Vec<Pair>,
    granted: Arc<Granted>,
}

impl Context {
    /// Of an event as it was received, within what a binding grants.
    #[inline]
    pub fn new(envelope: Arc<Event>, granted: Arc<Granted>) -> Self {
        Self { envelope, added: Vec::new(), granted }
    }

    /// With the header pairs that handlers added.
    #[inline]
    pub fn adding(self, added: &[Pair]) -> Self {
        Self { added: added.to_vec(), ..self }
    }

    pub(crate) fn envelope(&self) -> &Event {
        &self.envelope
    }

    pub(crate) fn granted(&self) -> &Granted {
        &self.granted
    }

    /// A copy of the request for a guest, with the header pairs that handlers added at their end.
    pub(crate) fn request(&self) -> RequestResult {
        let request = self.envelope.request.clone().unwrap_or_default();
        let received = request.headers.into_iter().map(|header| (header.name, header.value.to_vec()));
        let added = self.added.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
        let headers = received.chain(added).collect();
        RequestResult { method: request.method, path: request.path, query: request.query, headers }
    }
}
