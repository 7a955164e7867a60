//! Where events go: all destinations of one revision of the configuration, ready to be matched.
//!
//! `control` makes [`Routes`] from the stored configuration and opens the secrets. `deliver` matches events
//! against them and delivers. The two crates share nothing else. Routes are kept in memory only: after a
//! restart, they are made again from what is stored.

mod announce;
mod subscriptions;

pub use self::announce::{Announce, Superseded};

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::time::Duration;

use floodgate_event::schedule::RetrySchedule;
pub use floodgate_event::subscription::Subscription;
use floodgate_event::{Name, standard_webhooks};
use url::Url;

use self::subscriptions::Subscriptions;

/// The destinations of one revision. A change of the configuration replaces them as a whole.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// The revision of the configuration. It is recorded with what these routes match.
    pub revision: u64,
    /// Destinations by name, including those that are held.
    pub destinations: BTreeMap<Name, Arc<Destination>>,
    subscriptions: Subscriptions,
}

impl Routes {
    /// Makes the routes of a revision, and the index that finds the subscriptions to an event.
    pub fn new(revision: u64, destinations: BTreeMap<Name, Arc<Destination>>) -> Self {
        let subscriptions = Subscriptions::new(destinations.values());
        Self { revision, destinations, subscriptions }
    }

    /// Returns the destinations that subscribed to events of this source and type, each once, ordered by
    /// name. This includes destinations that are held.
    pub fn matching(&self, source: &str, event_type: &str) -> impl Iterator<Item = &Arc<Destination>> {
        self.subscriptions.matching(source, event_type)
    }

    /// Returns the destinations that are held because their secrets cannot be opened.
    pub fn without_secrets(&self) -> impl Iterator<Item = &Arc<Destination>> {
        self.destinations.values().filter(|destination| destination.secrets_error.is_some())
    }
}

/// A consumer's endpoint, and how to deliver to it.
#[derive(Clone)]
pub struct Destination {
    /// The destination's name, unique in a revision.
    pub name: Name,
    /// Where deliveries are posted.
    pub url: Url,
    /// The events that it subscribed to.
    pub subscribe: Subscription,
    /// The keys that sign deliveries, the current one first: one, or two during a rotation.
    pub keys: Vec<standard_webhooks::Key>,
    /// The longest that one attempt may take, from connecting until the answer is read.
    pub timeout: Duration,
    /// The most attempts that are in flight at once.
    pub concurrency: NonZeroU16,
    /// The most attempts per second; none if they are not limited.
    pub rate_per_second: Option<NonZeroU32>,
    /// When failed attempts are repeated.
    pub retry: RetrySchedule,
    /// True if deliveries carry the headers of the original request.
    pub original_headers: bool,
    /// False if the destination answered 410 since it was last put, or if the operator disabled it. Its
    /// deliveries are then held.
    pub enabled: bool,
    /// Why its secrets cannot be opened, if they cannot. Its events are matched, and its deliveries are held
    /// until it is put again.
    pub secrets_error: Option<String>,
    /// True if the operator paused the destination. Its deliveries are then held.
    pub paused: bool,
    /// The revision of the configuration that created the destination. What an earlier revision matched was
    /// for another destination of the same name.
    pub create_revision: u64,
    /// The revision that last changed the destination. It tells the settings that an attempt was made by from
    /// later ones.
    pub mod_revision: u64,
}

impl Destination {
    /// Returns why deliveries to this destination are held, or none if they are made: `disabled`, `paused` or
    /// `secrets`.
    pub fn hold_reason(&self) -> Option<&'static str> {
        match (self.enabled, self.paused, &self.secrets_error) {
            (false, ..) => Some("disabled"),
            (true, true, _) => Some("paused"),
            (true, false, Some(_)) => Some("secrets"),
            (true, false, None) => None,
        }
    }
}

/// A destination that answered 410 Gone: it wants no deliveries any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// The name of the destination that answered.
    pub destination: Name,
    /// The [`Destination::mod_revision`] of the settings that the attempt was made by.
    pub mod_revision: u64,
}

impl std::fmt::Debug for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Destination").field("name", &self.name).finish_non_exhaustive()
    }
}
