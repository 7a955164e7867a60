//! Which version of a handler it is.

use floodgate_event::Name;
use floodgate_event::snapshot::Digest256;

/// What tells a version from all others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VersionId {
    /// The handler.
    pub name: Name,
    /// Its version.
    pub version: u32,
    /// That version's component.
    pub digest: Digest256,
}
