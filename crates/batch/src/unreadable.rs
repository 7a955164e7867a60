//! Why the events of a request cannot be read. No message quotes an event.

use std::fmt;

use crate::{MAX_EVENTS, MAX_NAME_BYTES};

/// Why the events of a request cannot be read. `E` is the error of what counts memory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable<E> {
    /// The content type does not carry events.
    #[error(transparent)]
    Media(#[from] UnsupportedMedia),
    /// There are more than [`MAX_EVENTS`].
    #[error("more than {MAX_EVENTS} events")]
    TooMany,
    /// An event is not as it must be.
    #[error(transparent)]
    Event(#[from] BadEvent),
    /// There is no memory for the names of the events.
    #[error("{0}")]
    Memory(E),
}

/// The content type is none of [`MEDIA_TYPES`](crate::MEDIA_TYPES), or names another charset than UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the content type does not carry events")]
pub struct UnsupportedMedia;

/// An event that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{wrong}", Place(*.index))]
pub struct BadEvent {
    /// The place of the event in its batch, from 0. `None` if the request is no batch, or has no event.
    pub index: Option<usize>,
    /// What is wrong with it.
    pub wrong: Wrong,
}

/// What is wrong with an event, and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// The batch is empty.
    #[error("no event: expected 1 to {MAX_EVENTS}")]
    NoEvent,
    /// The request is a batch, and its path takes one event.
    #[error("expected one event: `/v1/events` takes batches")]
    NotOne,
    /// It is another JSON value, or none.
    #[error("expected a JSON object")]
    NoObject,
    /// It has bytes that are no text.
    #[error("expected UTF-8")]
    NotUtf8,
    /// It begins as an object, and is no JSON.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// The array around the events breaks off.
    #[error("not a JSON array from byte {at} on")]
    NoArray {
        /// The byte of the body, from 0.
        at: usize,
    },
    /// This member or header is missing, or is no name.
    #[error("`{0}`: expected a string of 1 to {MAX_NAME_BYTES} bytes, without control characters")]
    Name(&'static str),
    /// This member or header is missing, or is not the `source` of a CloudEvent.
    #[error("`{0}`: expected a URI reference of 1 to {MAX_NAME_BYTES} bytes, without spaces")]
    Source(&'static str),
    /// This member or header names no version of CloudEvents, or another one.
    #[error("`{0}`: expected `1.0`")]
    Version(&'static str),
}

/// The event that a text is about.
struct Place(Option<usize>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |index| write!(f, "event {index}: "))
    }
}
