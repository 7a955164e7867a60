//! Metrics of what waits, by destination.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use floodgate_event::Name;
use floodgate_routes::{Destination, Routes};
use prometheus::{IntGaugeVec, Registry};

use super::index::Waiting;
use super::metrics::gauges;

/// Open and dead deliveries. Each shard that this process forwards has a share in a destination's.
#[derive(Clone)]
pub(crate) struct WaitingGauges {
    open: IntGaugeVec,
    dead: IntGaugeVec,
    shares: Arc<Mutex<HashMap<Name, BTreeMap<u32, Waiting>>>>,
}

impl WaitingGauges {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        Ok(Self {
            open: gauges(
                "deliveries_pending",
                "Open deliveries, those that are held too.",
                &["destination"],
            )?,
            dead: gauges("deliveries_dead", "Deliveries that were given up.", &["destination"])?,
            shares: Arc::default(),
        })
    }

    pub(super) fn add_to(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.open.clone()))?;
        registry.register(Box::new(self.dead.clone()))
    }

    /// Says how many a shard has.
    pub(super) fn set(&self, destination: &Name, shard: u32, waiting: Waiting) {
        let mut shares = self.lock();
        let of_shards = shares.entry(destination.clone()).or_default();
        if of_shards.insert(shard, waiting) != Some(waiting) {
            self.show(destination, of_shards);
        }
    }

    /// A shard forwards nothing to it any more.
    pub(super) fn leave(&self, destination: &Name, shard: u32) {
        let mut shares = self.lock();
        let Some(of_shards) = shares.get_mut(destination) else { return };
        of_shards.remove(&shard);
        if of_shards.is_empty() {
            shares.remove(destination);
            let labels = [destination.as_str()];
            // They are there: a share is shown when it is set.
            let _ = self.open.remove_label_values(&labels);
            let _ = self.dead.remove_label_values(&labels);
        } else {
            self.show(destination, of_shards);
        }
    }

    fn show(&self, destination: &Name, of_shards: &BTreeMap<u32, Waiting>) {
        let sum = |count: fn(&Waiting) -> u64| {
            i64::try_from(of_shards.values().map(count).sum::<u64>()).unwrap_or(i64::MAX)
        };
        let labels = [destination.as_str()];
        self.open.with_label_values(&labels).set(sum(|waiting| waiting.open));
        self.dead.with_label_values(&labels).set(sum(|waiting| waiting.dead));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, BTreeMap<u32, Waiting>>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which destinations' deliveries are held, and why.
#[derive(Clone)]
pub(crate) struct HeldGauge {
    gauge: IntGaugeVec,
    shown: Arc<Mutex<BTreeSet<(Name, &'static str)>>>,
}

impl HeldGauge {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let help = "1 for a destination whose deliveries are held: disabled, paused, or its secrets cannot be opened.";
        let gauge = gauges("destination_held", help, &["destination", "reason"])?;
        Ok(Self { gauge, shown: Arc::default() })
    }

    pub(super) fn add_to(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.gauge.clone()))
    }

    /// Says which are, by these routes. A destination that is not held has none of it.
    pub(super) fn set(&self, routes: &Routes) {
        let held = |destination: &Arc<Destination>| Some((destination.name.clone(), destination.held()?));
        self.show(routes.destinations.values().filter_map(held).collect());
    }

    /// Nothing is forwarded here any more; another shard of this process says so of itself within a second.
    pub(super) fn clear(&self) {
        self.show(BTreeSet::new());
    }

    fn show(&self, held: BTreeSet<(Name, &'static str)>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, reason) in shown.difference(&held) {
            // It is there: it was shown.
            let _ = self.gauge.remove_label_values(&[name.as_str(), reason]);
        }
        for (name, reason) in held.difference(&shown) {
            self.gauge.with_label_values(&[name.as_str(), reason]).set(1);
        }
        *shown = held;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_add_up_and_a_destination_that_all_left_is_gone() {
        let gauges = WaitingGauges::new().unwrap();
        let shop: Name = "shop".parse().unwrap();
        let waiting = |open, dead| Waiting { open, dead };
        gauges.set(&shop, 0, waiting(5, 1));
        gauges.set(&shop, 1, waiting(2, 0));
        gauges.set(&shop, 0, waiting(3, 1));
        let shown = |of: &IntGaugeVec| of.with_label_values(&["shop"]).get();
        assert_eq!((shown(&gauges.open), shown(&gauges.dead)), (5, 1));
        gauges.leave(&shop, 0);
        assert_eq!((shown(&gauges.open), shown(&gauges.dead)), (2, 0));
        gauges.leave(&shop, 1);
        assert!(gauges.open.remove_label_values(&["shop"]).is_err());
    }

    #[test]
    fn what_is_not_held_any_more_is_not_shown() {
        let gauge = HeldGauge::new().unwrap();
        let held = |names: &[&str]| names.iter().map(|name| (name.parse().unwrap(), "paused")).collect();
        gauge.show(held(&["a", "b"]));
        gauge.show(held(&["b"]));
        let is_shown = |name| gauge.gauge.remove_label_values(&[name, "paused"]).is_ok();
        assert!(!is_shown("a") && is_shown("b"));
    }
}
