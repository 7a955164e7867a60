//! What a binding lets its handler ask of the host, and how much of it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Name;

/// What a handler may ask of the host. What is not granted is not there:
/// lines go nowhere, clocks stand at the Unix epoch, random numbers are the same for all events, and a key or
/// counter that is not named is a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(utoipa::ToSchema),
    schema(description = "What a handler may ask of the host.")
)]
#[serde(deny_unknown_fields, default)]
pub struct Grants {
    /// Write log lines. Without it they are dropped; a panic still becomes the message of its fault.
    #[cfg_attr(feature = "schema", schema(default = true, required = false))]
    pub log: bool,
    /// Read the time at which the event was received. Without it the clocks show 1970.
    #[cfg_attr(feature = "schema", schema(default = true, required = false))]
    pub clock: bool,
    /// Get random numbers that are seeded by the event's id. Without it they are the same for all events.
    #[cfg_attr(feature = "schema", schema(default = true, required = false))]
    pub random: bool,
    /// Counters that it may add to, at most 32. Each is a label of a metric.
    #[cfg_attr(feature = "schema", schema(max_items = 32, required = false))]
    pub counters: BTreeSet<Name>,
    /// Keys of the source that it may sign with.
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub sign: BTreeSet<Name>,
    /// Keys of the source that it may verify with.
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub verify: BTreeSet<Name>,
}

impl Grants {
    /// How many counters a binding may grant.
    pub const MAX_COUNTERS: usize = 32;

    /// Returns every key that is granted for signing or verifying.
    pub fn keys(&self) -> impl Iterator<Item = &Name> {
        self.sign.union(&self.verify)
    }
}

impl Default for Grants {
    fn default() -> Self {
        let none = BTreeSet::new;
        Self { log: true, clock: true, random: true, counters: none(), sign: none(), verify: none() }
    }
}
