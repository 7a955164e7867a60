//! Gauges by destination: how many deliveries are open and dead, and which destinations are held.
//!
//! Several shards of a process may deliver to the same destination. A destination that no shard delivers to
//! any more disappears from the metrics.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use floodgate_event::{Name, ShardId};
use floodgate_routes::{Destination, Routes};
use prometheus::IntGaugeVec;

use super::super::index::Backlog;
use super::Registrar;

/// Open and dead deliveries by destination, added up over the shards that this process delivers.
#[derive(Clone)]
pub(crate) struct BacklogGauges {
    open: IntGaugeVec,
    dead: IntGaugeVec,
    shares: Arc<Mutex<HashMap<Name, BTreeMap<ShardId, Backlog>>>>,
}

impl BacklogGauges {
    pub(super) fn register(new: &Registrar<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            open: new.gauges(
                "deliveries_pending",
                "Open deliveries, those that are held too.",
                &["destination"],
            )?,
            dead: new.gauges("deliveries_dead", "Deliveries that were given up.", &["destination"])?,
            shares: Arc::default(),
        })
    }

    /// Sets how many deliveries of a destination a shard has.
    pub(crate) fn set(&self, destination: &Name, shard: ShardId, backlog: Backlog) {
        let mut shares = self.lock();
        let of_shards = shares.entry(destination.clone()).or_default();
        if of_shards.insert(shard, backlog) != Some(backlog) {
            self.show(destination, of_shards);
        }
    }

    /// Removes a shard that does not deliver to the destination any more.
    pub(crate) fn leave(&self, destination: &Name, shard: ShardId) {
        let mut shares = self.lock();
        let Some(of_shards) = shares.get_mut(destination) else { return };
        of_shards.remove(&shard);
        if of_shards.is_empty() {
            shares.remove(destination);
            let labels = [destination.as_str()];
            // Both labels exist, because they are shown when a share is set.
            let _ = self.open.remove_label_values(&labels);
            let _ = self.dead.remove_label_values(&labels);
        } else {
            self.show(destination, of_shards);
        }
    }

    fn show(&self, destination: &Name, of_shards: &BTreeMap<ShardId, Backlog>) {
        let sum = |count: fn(&Backlog) -> u64| {
            i64::try_from(of_shards.values().map(count).sum::<u64>()).unwrap_or(i64::MAX)
        };
        let labels = [destination.as_str()];
        self.open.with_label_values(&labels).set(sum(|backlog| backlog.open));
        self.dead.with_label_values(&labels).set(sum(|backlog| backlog.dead));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, BTreeMap<ShardId, Backlog>>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which destinations are held, and why.
#[derive(Clone)]
pub(crate) struct HeldGauge {
    gauge: IntGaugeVec,
    shown: Arc<Mutex<BTreeSet<(Name, &'static str)>>>,
}

impl HeldGauge {
    pub(super) fn register(new: &Registrar<'_>) -> Result<Self, prometheus::Error> {
        let help = "1 for a destination whose deliveries are held: disabled, paused, or its secrets cannot be opened.";
        let gauge = new.gauges("destination_held", help, &["destination", "reason"])?;
        Ok(Self { gauge, shown: Arc::default() })
    }

    /// Shows the destinations that these routes hold. The others have no such metric.
    pub(crate) fn set(&self, routes: &Routes) {
        let held =
            |destination: &Arc<Destination>| Some((destination.name.clone(), destination.hold_reason()?));
        self.show(routes.destinations.values().filter_map(held).collect());
    }

    /// Shows no destination any more. If another shard of this process delivers, it sets the gauge again
    /// within a second.
    pub(crate) fn clear(&self) {
        self.show(BTreeSet::new());
    }

    fn show(&self, held: BTreeSet<(Name, &'static str)>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, reason) in shown.difference(&held) {
            // The label exists, because it is shown.
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
    use prometheus::Registry;

    use super::*;

    fn made(registry: &Registry) -> Registrar<'_> {
        Registrar { registry }
    }

    #[test]
    fn shards_add_up_and_a_destination_that_all_left_disappears() {
        let gauges = BacklogGauges::register(&made(&Registry::new())).unwrap();
        let shop: Name = "shop".parse().unwrap();
        let backlog = |open, dead| Backlog { open, dead };
        gauges.set(&shop, ShardId::new(0), backlog(5, 1));
        gauges.set(&shop, ShardId::new(1), backlog(2, 0));
        gauges.set(&shop, ShardId::new(0), backlog(3, 1));
        let shown = |of: &IntGaugeVec| of.with_label_values(&["shop"]).get();
        assert_eq!((shown(&gauges.open), shown(&gauges.dead)), (5, 1));
        gauges.leave(&shop, ShardId::new(0));
        assert_eq!((shown(&gauges.open), shown(&gauges.dead)), (2, 0));
        gauges.leave(&shop, ShardId::new(1));
        assert!(gauges.open.remove_label_values(&["shop"]).is_err());
    }

    #[test]
    fn a_destination_that_is_not_held_any_more_disappears() {
        let gauge = HeldGauge::register(&made(&Registry::new())).unwrap();
        let held = |names: &[&str]| names.iter().map(|name| (name.parse().unwrap(), "paused")).collect();
        gauge.show(held(&["a", "b"]));
        gauge.show(held(&["b"]));
        let is_shown = |name| gauge.gauge.remove_label_values(&[name, "paused"]).is_ok();
        assert!(!is_shown("a") && is_shown("b"));
    }
}
