//! Identifies a version of a handler.

use floodgate_event::{Digest256, Name};

/// Identifies a version among all versions of all handlers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VersionId {
    /// The name of the handler.
    pub name: Name,
    /// The version of the handler, from 1.
    pub version: u32,
    /// The SHA-256 of that version's component.
    pub digest: Digest256,
}
