//! Verifies the requests of own applications, which may have several events.

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use floodgate_batch::{Media, SentEvents};
use floodgate_event::id::BodyHash;
use floodgate_event::proto::{Event, Header};
use floodgate_event::snapshot::Source;
use floodgate_event::{Digest256, EventId, ShardId};
use floodgate_listen::{Exhausted, Reservation};
use floodgate_schemes::{NoPublishedKeys, Received as Verdict, Secrets, presets};
use http::{HeaderName, header};
use prost::Message as _;

use super::fields::Found;
use super::{Verifier, as_received};
use crate::accept::{Received, Refusal};
use crate::stage::Verified;

/// The most events of a batch that are under way at once: they fill several blocks.
const AT_ONCE: usize = 256;
/// The most bytes that the events of a batch take at once while they are under way, without what handlers
/// add: envelopes, and their encoded forms twice. One event may take more.
const BYTES_AT_ONCE: usize = 8 * 1024 * 1024;

/// Headers that describe the body of the whole request, and none of its events.
const OF_THE_WHOLE: [HeaderName; 6] = [
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("repr-digest"),
];

/// The events of a request whose token is the source's.
pub(crate) struct Batch {
    request: Received,
    body: Bytes,
    sent: SentEvents,
    /// What all events have in common.
    shared: Event,
}

/// Hashes the tokens of a source. A source that is not for own applications has none.
pub(super) fn tokens(source: &Source, secrets: &Secrets) -> Vec<Digest256> {
    let is_own = presets::find(&source.scheme).is_some_and(|preset| preset.own_applications);
    let own = secrets.iter().filter(|_| is_own);
    own.map(|named| Digest256::of(named.secret.expose().as_bytes())).collect()
}

/// An event without its bytes and its memory.
struct Named {
    id: EventId,
    event: Event,
    shard: ShardId,
    unread: Vec<(&'static str, &'static str)>,
}

impl Verifier {
    /// The SHA-256 of each token that finds the source.
    pub(crate) fn tokens(&self) -> &[Digest256] {
        &self.tokens
    }

    /// Verifies the token of a request, decodes its body, and finds its events.
    ///
    /// # Errors
    /// [`Refusal::SignatureRefused`], what is wrong with the body or one of its events, or that the source
    /// does not take the type of one.
    pub(crate) fn batch(&self, mut request: Received) -> Result<Batch, Refusal> {
        let secret = match self.scheme.receive(&as_received(&request, &NoPublishedKeys))? {
            Verdict::Event(secret) => secret.to_owned(),
            // Own applications make no handshakes.
            Verdict::Handshake(_) => return Err(Refusal::MethodNotAllowed { allow: self.allow() }),
        };
        let body = request.decode()?;
        let sent = request.events(&body)?;
        if let Some(index) = sent.events.iter().position(|event| !self.intake.takes(&event.event_type)) {
            return Err(if sent.is_batch {
                Refusal::EventTypeRefused { index }
            } else {
                Refusal::TypeRefused
            });
        }
        let mut shared = self.shared(&request, &secret);
        if sent.is_batch {
            describe_one(&mut shared, sent.media);
        }
        Ok(Batch { request, body, sent, shared })
    }

    /// The event of a request that is no batch.
    pub(crate) fn only(&self, batch: Batch) -> Verified {
        let Named { event, shard, unread, .. } = self.named(&batch, 0);
        let (raw, memory) = batch.request.into_counted();
        let (body, intake) = (batch.body, Arc::clone(&self.intake));
        Verified { event, raw: Some(raw), body, intake, shard, unread, memory }
    }

    /// An event of a batch, with its id. It shares the buffer of the body, which the memory of the batch
    /// counts.
    pub(crate) fn one_of(&self, batch: &mut Batch, index: usize) -> (EventId, Result<Verified, Exhausted>) {
        let Named { id, event, shard, unread } = self.named(batch, index);
        let body = batch.body.slice(batch.sent.events[index].range.clone());
        let (raw, intake) = (Some(body.clone()), Arc::clone(&self.intake));
        let memory = batch.reserve();
        (id, memory.map(|memory| Verified { event, raw, body, intake, shard, unread, memory }))
    }

    fn named(&self, batch: &Batch, index: usize) -> Named {
        let sent = &batch.sent.events[index];
        let (bytes, headers) = (&batch.body[sent.range.clone()], &batch.request.parts().headers);
        let found = Found {
            id: Ok(sent.id.clone()),
            event_type: Ok(sent.event_type.clone()),
            ..self.fields.find(headers, bytes)
        };
        let signed = if batch.sent.is_batch { bytes } else { batch.request.raw() };
        let body_hash = BodyHash::of(signed);
        let identity = self.identify(&found, &body_hash, &batch.request);
        let (id, shard) = (identity.id, self.shard(identity.id, &found));
        let unread = found.unread().map(|(field, why)| (field, why.as_str())).collect();
        let event = self.complete(batch.shared.clone(), found, identity, &body_hash);
        Named { id, event, shard, unread }
    }
}

impl Batch {
    /// What all its events have in common.
    pub(crate) fn shared(&self) -> &Event {
        &self.shared
    }

    /// True if the request may have several events, even if it has one.
    pub(crate) fn is_batch(&self) -> bool {
        self.sent.is_batch
    }

    /// Returns the address of the sender.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.request.peer()
    }

    /// How many events it has: at least one.
    pub(crate) fn len(&self) -> usize {
        self.sent.events.len()
    }

    /// How many of its events may be under way at once.
    pub(crate) fn at_once(&self) -> usize {
        let each = 3 * self.envelope_bytes() + 2 * (self.body.len() / self.len());
        (BYTES_AT_ONCE / each).clamp(1, AT_ONCE)
    }

    /// Keeps only the memory that the request is counted in.
    pub(crate) fn into_memory(self) -> Reservation {
        self.request.into_counted().1
    }

    /// Estimates the bytes of the envelope of one event.
    fn envelope_bytes(&self) -> usize {
        let headers = self.shared.request.as_ref().map_or(0, |request| request.headers.len());
        size_of::<Event>() + headers * size_of::<Header>() + self.shared.encoded_len()
    }

    /// Reserves memory for the envelope of one event.
    fn reserve(&mut self) -> Result<Reservation, Exhausted> {
        let bytes = self.envelope_bytes();
        let memory = self.request.memory();
        memory.grow_by(bytes)?;
        Ok(memory.split(bytes))
    }
}

/// Makes the headers of a request describe one of its events.
fn describe_one(shared: &mut Event, media: Media) {
    shared.content_type = media.of_one().to_owned();
    let Some(request) = &mut shared.request else { return };
    request.headers.retain(|header| !OF_THE_WHOLE.iter().any(|name| *name == *header.name));
    for header in request.headers.iter_mut().filter(|header| *header::CONTENT_TYPE.as_str() == header.name) {
        header.value = Bytes::from_static(media.of_one().as_bytes());
    }
}
