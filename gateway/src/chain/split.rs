//! The events that a handler makes of one.

use floodgate_event::id::BodyHash;
use floodgate_event::proto::{self, Event, KeyKind, Parent};
use floodgate_event::{Digest256, EventId, Lane};
use floodgate_sandbox::{Child, Fault};
use prost::Message as _;

/// The most bytes of a split, with the request's headers counted once for each child. Parent and children
/// share a block, and a block is one message of at most 8 MiB.
const MAX_BYTES: usize = 6 * 1024 * 1024;

/// Checks that the events of a split fit into one block.
pub(crate) fn check(parent: &Event, children: &[Child]) -> Result<(), Fault> {
    let bodies: usize = children.iter().map(|child| child.body.len()).sum();
    check_size(bodies + children.len() * parent.encoded_len())
}

/// Checks the size of what the rest of the chain has made of them so far.
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
    /// The digest of the component that made it.
    pub(crate) by: &'a Digest256,
    /// What that handler returned for it.
    pub(crate) child: &'a Child,
}

impl NewChild<'_> {
    /// Makes the child's envelope from its parent's. Every run of the same handler over the same parent gives
    /// the child the same id. A child without a type gets the parent's present one.
    pub(crate) fn envelope(&self, received: &Event, parent_type: &str, lane: Lane) -> Event {
        let digest = self.by.as_bytes();
        // `verify` lets no id of another length through.
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
