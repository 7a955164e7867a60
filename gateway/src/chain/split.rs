//! Events that a handler makes out of one.

use floodgate_event::id::BodyHash;
use floodgate_event::proto::{self, Event, KeyKind, Parent};
use floodgate_event::snapshot::Digest256;
use floodgate_event::{EventId, Lane};
use floodgate_sandbox::{Child, Fault};
use prost::Message as _;

/// The most bytes of a split, the request's headers counted once for each child: parent and children share a
/// block, and a block is one message of at most 8 MiB.
const MAX_BYTES: usize = 6 * 1024 * 1024;

/// Checks that a split's events fit one block.
pub(crate) fn check(parent: &Event, children: &[Child]) -> Result<(), Fault> {
    let bodies: usize = children.iter().map(|child| child.body.len()).sum();
    check_size(bodies + children.len() * parent.encoded_len())
}

/// Checks what the rest of a chain made of them, so far.
pub(crate) fn check_size(bytes: usize) -> Result<(), Fault> {
    if bytes > MAX_BYTES {
        return Err(Fault::output(format!(
            "a split of {bytes} bytes with headers; at most {MAX_BYTES} are taken"
        )));
    }
    Ok(())
}

/// A child that a split makes.
pub(crate) struct NewChild<'a> {
    /// Its place among its siblings, from 0.
    pub(crate) ordinal: u32,
    /// The component that made it.
    pub(crate) by: &'a Digest256,
    /// What that handler made.
    pub(crate) child: &'a Child,
}

impl NewChild<'_> {
    /// The child's envelope: its parent's, under an id that every run of this handler
    /// over this parent gives it. It takes the parent's type, as it is now, where it has none of its own.
    pub(crate) fn envelope(&self, received: &Event, parent_type: &str, lane: Lane) -> Event {
        let digest = self.by.as_bytes();
        // An id of another length does not get past `verify`.
        let parent_id = EventId::try_from(&*received.id).unwrap_or(EventId::from([0; 16]));
        Event {
            id: EventId::child(parent_id, self.ordinal, digest).as_bytes().to_vec(),
            key_kind: KeyKind::Child.into(),
            r#type: self.child.event_type.as_deref().unwrap_or(parent_type).to_owned(),
            lane: proto::Lane::from(lane).into(),
            body_hash: BodyHash::of(&self.child.body).as_bytes().to_vec(),
            parent: Some(Parent {
                id: received.id.clone(),
                ordinal: self.ordinal,
                handler_digest: digest.to_vec(),
            }),
            ..received.clone()
        }
    }
}
