//! Taking up an event again whose handlers failed.

use std::sync::Arc;

use bytes::Bytes;
use floodgate_event::proto::Event;

use super::Verifier;
use crate::stage::Verified;

impl Verifier {
    /// Makes of a quarantined event what it was before handlers saw it. Its signature held when it came, and is not
    /// checked again: its time has passed and its secret may be another one now. Time of receipt, id, lane and shard
    /// stay what they were; how raw bytes are kept and types get lanes is what the source says now.
    ///
    /// # Errors
    /// If it is not an event of this source, or lacks its body.
    pub(crate) fn restore(&self, mut event: Event, shard: u32) -> Result<Verified, NotRestored> {
        if event.source != self.name.as_str() || event.tenant != self.tenant.as_str() {
            return Err(NotRestored::Foreign);
        }
        let raw = event.request.as_mut().and_then(|request| request.raw.take());
        // A payload that would say the same as the raw bytes is left out.
        let body: Bytes = event.payload.take().or_else(|| raw.clone()).ok_or(NotRestored::NoBody)?;
        event.handlers.clear();
        event.disposition = None;
        Ok(Verified { event, raw, body, intake: Arc::clone(&self.intake), shard })
    }
}

/// Why an event cannot be taken up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotRestored {
    /// Another source's, or one of another tenant under the same name.
    #[error("it is not an event of this source")]
    Foreign,
    /// Nothing that handlers could run over.
    #[error("its body was not kept")]
    NoBody,
}
