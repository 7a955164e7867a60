//! Overload. Lanes are shed one after the other, so that what must not wait still gets through when there is
//! not room for all: first `bulk`, then `standard`. `critical` is never shed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use floodgate_event::Lane;
use floodgate_listen::Budget;

/// A lane whose events are not taken now, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("shedding lane {lane}: {}", why.as_str())]
pub struct Shed {
    /// The lane whose events are refused.
    pub lane: Lane,
    /// What is used up.
    pub why: Why,
}

/// What is used above a lane's threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The memory of the process.
    Memory,
    /// The queue of a lane, which grows while the region's streams are slow.
    Queue,
}

impl Why {
    /// The label in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Queue => "queue",
        }
    }
}

/// How much room there is, and how much of it may be used until a lane is shed.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// The bytes of the memory.
    pub memory_bytes: usize,
    /// The events of each queue.
    pub queue_events: usize,
    /// The percentage of either above which `bulk` is shed.
    pub bulk_percent: usize,
    /// The percentage of either above which `standard` is shed.
    pub standard_percent: usize,
}

/// Decides which lanes are shed.
#[derive(Debug)]
pub struct Shedder {
    memory: Budget,
    /// Those of the lanes that can be shed.
    thresholds: [Threshold; 2],
}

/// What may be used until a lane is shed.
#[derive(Debug)]
struct Threshold {
    lane: Lane,
    bytes: usize,
    events: usize,
    /// How many queues hold more events.
    queues: AtomicUsize,
}

impl Shedder {
    /// Looks at this memory, and at the queues that ask for a [`QueueLevel`].
    pub fn new(memory: Budget, room: Room) -> Self {
        let share = |whole: usize, percent: usize| match percent {
            // Nothing exceeds this, not even a split that overfills its queue.
            100.. => usize::MAX,
            _ => whole.saturating_mul(percent) / 100,
        };
        let threshold = |lane, percent: usize| Threshold {
            lane,
            bytes: share(room.memory_bytes, percent),
            events: share(room.queue_events, percent),
            queues: AtomicUsize::new(0),
        };
        let thresholds =
            [threshold(Lane::Bulk, room.bulk_percent), threshold(Lane::Standard, room.standard_percent)];
        Self { memory, thresholds }
    }

    /// Checks that events of this lane are taken now.
    ///
    /// # Errors
    /// If the lane is shed.
    pub fn check(&self, lane: Lane) -> Result<(), Shed> {
        let threshold = self.thresholds.iter().find(|threshold| threshold.lane == lane);
        let shed = |why| Err(Shed { lane, why });
        match threshold {
            Some(threshold) if self.memory.used() > threshold.bytes => shed(Why::Memory),
            Some(threshold) if threshold.queues.load(Ordering::Relaxed) > 0 => shed(Why::Queue),
            _ => Ok(()),
        }
    }

    /// Returns the lanes that are shed now, and why.
    pub fn shed(&self) -> impl Iterator<Item = Shed> {
        Lane::ALL.into_iter().filter_map(|lane| self.check(lane).err())
    }

    /// Returns true if there is no memory even for a small request of the lane `critical`.
    pub fn is_exhausted(&self) -> bool {
        self.memory.is_exhausted()
    }

    /// A level that shows how full a queue is.
    pub fn level(self: &Arc<Self>) -> QueueLevel {
        QueueLevel { shedder: Arc::clone(self), is_over: [false; 2] }
    }
}

/// How full a queue is. It counts until it is dropped.
#[derive(Debug)]
pub struct QueueLevel {
    shedder: Arc<Shedder>,
    /// Which thresholds it is above.
    is_over: [bool; 2],
}

impl QueueLevel {
    /// Records how many events wait. Call it under the lock of the queue.
    pub fn set(&mut self, waiting: usize) {
        for (was_over, threshold) in self.is_over.iter_mut().zip(&self.shedder.thresholds) {
            let is_over = waiting > threshold.events;
            match (*was_over, is_over) {
                (false, true) => drop(threshold.queues.fetch_add(1, Ordering::Relaxed)),
                (true, false) => drop(threshold.queues.fetch_sub(1, Ordering::Relaxed)),
                _ => {}
            }
            *was_over = is_over;
        }
    }
}

impl Drop for QueueLevel {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room =
        Room { memory_bytes: 10_000, queue_events: 100, bulk_percent: 75, standard_percent: 90 };

    fn shedder() -> (Arc<Shedder>, Budget) {
        let memory = Budget::unshared(ROOM.memory_bytes);
        (Arc::new(Shedder::new(memory.clone(), ROOM)), memory)
    }

    fn shed(shedder: &Shedder) -> Vec<String> {
        shedder.shed().map(|shed| shed.to_string()).collect()
    }

    #[test]
    fn bulk_goes_first_and_critical_stays_while_memory_fills() {
        let (shedder, memory) = shedder();
        let account = memory.own_account();
        let mut held = account.reserve(7_500).unwrap();
        assert!(shed(&shedder).is_empty());
        held.grow_by(1).unwrap();
        assert_eq!(shed(&shedder), ["shedding lane bulk: memory"]);
        held.grow_to(9_001).unwrap();
        assert_eq!(shed(&shedder), ["shedding lane standard: memory", "shedding lane bulk: memory"]);
        held.grow_to(ROOM.memory_bytes).unwrap();
        assert_eq!(shedder.check(Lane::Critical), Ok(()));
        drop(held);
        assert!(shed(&shedder).is_empty());
    }

    #[test]
    fn any_queue_that_is_full_sheds_and_counts_while_it_is_there() {
        let (shedder, _) = shedder();
        let mut levels = [shedder.level(), shedder.level()];
        levels[0].set(75);
        assert!(shed(&shedder).is_empty());
        levels[0].set(76);
        levels[0].set(80);
        levels[1].set(91);
        assert_eq!(shed(&shedder), ["shedding lane standard: queue", "shedding lane bulk: queue"]);
        levels[1].set(90);
        levels[0].set(75);
        assert_eq!(shed(&shedder), ["shedding lane bulk: queue"]);
        drop(levels);
        assert!(shed(&shedder).is_empty());
    }
}
