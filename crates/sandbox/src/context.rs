//! What a run may ask the host for besides its input: the request, the time, and what the binding grants.

use std::sync::Arc;

use floodgate_event::proto::Event;

use crate::bindings::RequestResult;
use crate::grant::Granted;
use crate::header::Pair;

/// What a run may ask the host for. It shares the event's envelope, and copies the request only for a handler
/// that asks for it.
#[derive(Clone, Debug, Default)]
pub struct Context {
    envelope: Arc<Event>,
    added: Vec<Pair>,
    granted: Arc<Granted>,
}

impl Context {
    /// Makes the context of a run over an event, within what the binding grants.
    #[inline]
    pub fn new(envelope: Arc<Event>, granted: Arc<Granted>) -> Self {
        Self { envelope, added: Vec::new(), granted }
    }

    /// Adds the headers that earlier handlers of the chain added.
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

    /// Copies the request for a guest, and appends the header pairs that handlers added.
    pub(crate) fn request(&self) -> RequestResult {
        let request = self.envelope.request.clone().unwrap_or_default();
        let received = request.headers.into_iter().map(|header| (header.name, header.value.to_vec()));
        let added = self.added.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
        let headers = received.chain(added).collect();
        RequestResult { method: request.method, path: request.path, query: request.query, headers }
    }
}
