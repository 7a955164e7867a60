//! The events that an own application sends in a request: one, or a batch of them, each with an id and a type
//! of its own. This crate finds their bytes and their names, and changes no byte. It does no I/O.

mod cloud_event;
mod media;
mod names;
mod split;
#[cfg(test)]
mod tests;
mod unreadable;

use std::ops::Range;

use http::HeaderMap;

pub use self::media::{MEDIA_TYPES, Media};
use self::names::Names;
pub use self::unreadable::{BadEvent, Unreadable, UnsupportedMedia, Wrong};

/// The most events of a batch.
pub const MAX_EVENTS: usize = 1_000;
/// The longest id and the longest type of an event, and the longest `source` of a CloudEvent, in bytes.
pub const MAX_NAME_BYTES: usize = 512;
/// What an event takes in memory besides its names. A vector that grows may have room for twice as many.
const EVENT_BYTES: usize = 2 * size_of::<SentEvent>();

/// An event of a request.
#[derive(Debug, PartialEq, Eq)]
pub struct SentEvent {
    /// The event's bytes in the body.
    pub range: Range<usize>,
    /// What its sender calls the event. For a CloudEvent it is `source` and `id`, with a space between them:
    /// an id is unique only among the events of one `source`, and no `source` contains a space.
    pub id: String,
    /// The type of the event.
    pub event_type: String,
}

/// The events of a request, of which there is at least one.
#[derive(Debug, PartialEq, Eq)]
pub struct SentEvents {
    /// How the request carries them.
    pub media: Media,
    /// True if the request may have several, even if it has one.
    pub is_batch: bool,
    /// The events, in the order in which they were sent.
    pub events: Vec<SentEvent>,
}

/// Finds the events of a request with these headers and this body, after content decoding. `hold` is called
/// with a number of bytes before so many more are kept.
///
/// # Errors
/// For the first event that is not as it must be, for too many events, for another content type than
/// [`MEDIA_TYPES`], or if `hold` fails.
pub fn read<E>(
    headers: &HeaderMap,
    body: &[u8],
    mut hold: impl FnMut(usize) -> Result<(), E>,
) -> Result<SentEvents, Unreadable<E>> {
    let media = Media::of(headers)?;
    let is_batch = media.is_batch(body);
    let mut events = Vec::new();
    for (index, found) in split::split(media, is_batch, body).enumerate() {
        if index == MAX_EVENTS {
            return Err(Unreadable::TooMany);
        }
        let event = found.and_then(|range| event(media, headers, body, range));
        let event = event.map_err(|wrong| BadEvent { index: is_batch.then_some(index), wrong })?;
        hold(EVENT_BYTES + event.id.len() + event.event_type.len()).map_err(Unreadable::Memory)?;
        events.push(event);
    }
    if events.is_empty() {
        return Err(BadEvent { index: None, wrong: Wrong::NoEvent }.into());
    }
    Ok(SentEvents { media, is_batch, events })
}

fn event(media: Media, headers: &HeaderMap, body: &[u8], range: Range<usize>) -> Result<SentEvent, Wrong> {
    let (id, event_type) = match media {
        Media::CloudEventHeaders => cloud_event::of_headers(headers)?,
        Media::CloudEvent | Media::CloudEvents => cloud_event::of_json(&Names::of(&body[range.clone()])?)?,
        Media::Json | Media::NdJson => {
            let names = Names::of(&body[range.clone()])?;
            (names.text("id")?, names.text("type")?)
        }
    };
    Ok(SentEvent { range, id, event_type })
}
