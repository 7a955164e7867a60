//! Refuses requests whose events cannot be read.

use floodgate_batch::{MAX_EVENTS, Unreadable, UnsupportedMedia};
use floodgate_listen::Exhausted;

use super::Refusal;

impl From<Unreadable<Exhausted>> for Refusal {
    fn from(unreadable: Unreadable<Exhausted>) -> Self {
        match unreadable {
            Unreadable::Media(unsupported) => unsupported.into(),
            Unreadable::TooMany => Self::TooManyEvents { most: MAX_EVENTS },
            Unreadable::Event(bad) => Self::BadEvent(bad),
            Unreadable::Memory(exhausted) => exhausted.into(),
        }
    }
}

impl From<UnsupportedMedia> for Refusal {
    fn from(UnsupportedMedia: UnsupportedMedia) -> Self {
        Self::UnsupportedMediaType
    }
}
