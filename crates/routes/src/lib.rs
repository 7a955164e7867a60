//! Where events go, as forwarding sees it: what `control` makes of the stored configuration, secrets opened.

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

/// Every destination at one revision. Replaced as a whole when the configuration changes.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// The configuration's revision, recorded with what was matched by it.
    pub revision: u64,
    /// Destinations by name, also those whose deliveries are held.
    pub destinations: BTreeMap<Name, Arc<Destination>>,
    subscriptions: Subscriptions,
}

impl Routes {
    /// The destinations of a revision, ready to be matched.
    pub fn new(revision: u64, destinations: BTreeMap<Name, Arc<Destination>>) -> Self {
        let subscriptions = Subscriptions::new(destinations.values());
        Self { revision, destinations, subscriptions }
    }

    /// The destinations that subscribed to events of this source and type, those whose deliveries are
    /// held too, each once, by name.
    pub fn matching(&self, source: &str, event_type: &str) -> impl Iterator<Item = &Arc<Destination>> {
        self.subscriptions.matching(source, event_type)
    }

    /// The destinations whose deliveries wait because their secrets cannot be used.
    pub fn unopened(&self) -> impl Iterator<Item = &Arc<Destination>> {
        self.destinations.values().filter(|destination| destination.unopened.is_some())
    }
}

/// A consumer's endpoint.
#[derive(Clone)]
pub struct Destination {
    /// Its name.
    pub name: Name,
    /// Where deliveries are posted.
    pub url: Url,
    /// What it gets.
    pub subscribe: Subscription,
    /// Keys that sign deliveries, the current one first; at least one, at most two during a rotation.
    pub keys: Vec<standard_webhooks::Key>,
    /// The most that one attempt may take, from connecting to the answer's last byte read.
    pub timeout: Duration,
    /// Attempts under way at once.
    pub concurrency: NonZeroU16,
    /// Attempts per second, if limited.
    pub rate_per_second: Option<NonZeroU32>,
    /// When failed attempts are tried again.
    pub retry: RetrySchedule,
    /// Whether deliveries carry the original request's headers.
    pub original_headers: bool,
    /// False after it answered 410, until it is put again, or where the operator says
    /// so. Its deliveries are held.
    pub enabled: bool,
    /// Why its secrets cannot be used, if they cannot.
    /// Its events are matched, and wait until it is put again.
    pub unopened: Option<String>,
    /// The operator's wish. Its deliveries are held.
    pub paused: bool,
    /// The configuration's revision from which on it is there: what was matched by an earlier one was for
    /// another destination of the same name.
    pub created: u64,
    /// The revision at which it was last put. Tells the settings of an attempt from those that came later.
    pub put: u64,
}

impl Destination {
    /// Why its deliveries wait although it is there; none if they do not.
    pub fn held(&self) -> Option<&'static str> {
        match (self.enabled, self.paused, &self.unopened) {
            (false, ..) => Some("disabled"),
            (true, true, _) => Some("paused"),
            (true, false, Some(_)) => Some("secrets"),
            (true, false, None) => None,
        }
    }
}

/// A destination answered 410: it wants no deliveries any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Its name.
    pub destination: Name,
    /// [`Destination::put`] of the settings that the attempt was made by.
    pub put: u64,
}

impl std::fmt::Debug for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Destination").field("name", &self.name).finish_non_exhaustive()
    }
}
