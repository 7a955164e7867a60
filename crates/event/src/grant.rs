//! What a binding lets its handler ask of the host, and how much of it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Name;

/// What a handler may ask of the host. What is not granted is not there:
/// lines go nowhere, clocks stand at the Unix epoch, random numbers are the same for all events, and a key or
/// counter that is not named is a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grants {
    /// To write lines. A panic's message is taken all the same.
    pub log: bool,
    /// To read the time at which the event was received.
    pub clock: bool,
    /// Random numbers of the event's own.
    pub random: bool,
    /// Counters that it may move; each is a metric's label.
    pub counters: BTreeSet<Name>,
    /// Keys of the source that it may sign with.
    pub sign: BTreeSet<Name>,
    /// Keys of the source that it may verify with.
    pub verify: BTreeSet<Name>,
}

impl Grants {
    /// The most counters of a binding.
    pub const MAX_COUNTERS: usize = 32;

    /// Every key that is named.
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
