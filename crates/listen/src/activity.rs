//! What a connection is doing, as its parts see it: its socket, its requests and its answers.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::SetOnce;
use tokio::time::Instant;

use crate::memory::Reservation;

/// Shared by the parts of one connection.
#[derive(Debug)]
pub(crate) struct Activity {
    opened: Instant,
    /// Requests by stage.
    requests: [AtomicUsize; 3],
    /// When a request or an answer last came a step further, in milliseconds since `opened`.
    moved: AtomicU64,
    /// Since when the peer takes no byte, in milliseconds since `opened`, plus one; 0 if it does.
    blocked: AtomicU64,
    /// Bytes read from the socket that no request has taken.
    untaken: AtomicUsize,
    /// Bytes that may still be read before what was read is dealt with.
    turn: AtomicUsize,
    /// Nothing is read until there is memory for it.
    paused: AtomicBool,
    first_request: SetOnce<()>,
    /// Answers of HTTP/2 that are not written, and when they last came a step further.
    unwritten: Mutex<Vec<Unwritten>>,
    answers: AtomicU64,
}

#[derive(Debug)]
struct Unwritten {
    id: u64,
    moved: u64,
}

/// Where a request is.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
enum Stage {
    /// It has begun, and is not here whole.
    Arriving = 0,
    /// It is here whole.
    Working,
    /// It has its answer, which is not written whole.
    Answering,
}

impl Activity {
    pub(crate) fn new() -> Self {
        Self {
            opened: Instant::now(),
            requests: Default::default(),
            moved: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
            untaken: AtomicUsize::new(0),
            turn: AtomicUsize::new(usize::MAX),
            paused: AtomicBool::new(false),
            first_request: SetOnce::new(),
            unwritten: Mutex::default(),
            answers: AtomicU64::new(0),
        }
    }

    /// A request begins. What was read until now is its.
    pub(crate) fn begin(self: &Arc<Self>, memory: Option<Reservation>) -> Arc<Ongoing> {
        // Later requests find it set.
        let _ = self.first_request.set(());
        self.untaken.store(0, Ordering::Relaxed);
        let stage = Stage::Arriving as u8;
        self.count(stage).fetch_add(1, Ordering::Relaxed);
        self.step();
        Arc::new(Ongoing {
            activity: Arc::clone(self),
            stage: AtomicU8::new(stage),
            watched: AtomicU64::new(0),
            _memory: memory,
        })
    }

    /// Waits until a request has begun.
    pub(crate) async fn begun(&self) {
        self.first_request.wait().await;
    }

    fn count(&self, stage: u8) -> &AtomicUsize {
        // Only values of `Stage` come here.
        &self.requests[usize::from(stage)]
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn step(&self) {
        self.moved.store(self.now(), Ordering::Relaxed);
    }

    fn unwritten(&self) -> MutexGuard<'_, Vec<Unwritten>> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self) -> u64 {
        let id = self.answers.fetch_add(1, Ordering::Relaxed);
        self.unwritten().push(Unwritten { id, moved: self.now() });
        id
    }

    /// Whether no request is under way and no answer waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.requests.iter().all(|requests| requests.load(Ordering::Relaxed) == 0)
    }

    /// Whether a request that is here whole waits for its answer.
    pub(crate) fn is_working(&self) -> bool {
        self.count(Stage::Working as u8).load(Ordering::Relaxed) > 0
    }

    /// How long nothing has come a step further.
    pub(crate) fn still_for(&self) -> Duration {
        since(self.now(), self.moved.load(Ordering::Relaxed))
    }

    /// How long the peer has left an answer lying.
    pub(crate) fn unread_for(&self) -> Duration {
        let now = self.now();
        let blocked = match self.blocked.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since_when => since(now, since_when - 1),
        };
        let oldest = self.unwritten().iter().map(|answer| answer.moved).min();
        blocked.max(oldest.map_or(Duration::ZERO, |moved| since(now, moved)))
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed) > 0
    }

    /// The peer takes bytes, or does not.
    pub(crate) fn set_blocked(&self, blocked: bool) {
        // One load where nothing changes, as nearly always.
        if blocked != self.is_blocked() {
            let value = if blocked { self.now().saturating_add(1) } else { 0 };
            self.blocked.store(value, Ordering::Relaxed);
        }
    }

    /// Bytes came from the socket.
    pub(crate) fn read(&self, bytes: usize) {
        self.untaken.fetch_add(bytes, Ordering::Relaxed);
        let left = self.turn.load(Ordering::Relaxed);
        self.turn.store(left.saturating_sub(bytes), Ordering::Relaxed);
    }

    /// Bytes that were read and that no request has taken.
    pub(crate) fn untaken(&self) -> usize {
        self.untaken.load(Ordering::Relaxed)
    }

    /// So many bytes may be read before what they say is dealt with.
    pub(crate) fn begin_turn(&self, bytes: usize) {
        self.turn.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn is_turn_over(&self) -> bool {
        self.turn.load(Ordering::Relaxed) == 0
    }

    pub(crate) fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }
}

fn since(now: u64, then: u64) -> Duration {
    Duration::from_millis(now.saturating_sub(then))
}

/// A request under way, and then its answer: counted until that is written.
#[derive(Debug)]
pub(crate) struct Ongoing {
    activity: Arc<Activity>,
    stage: AtomicU8,
    /// Among the unwritten answers, plus one; 0 if it is not there.
    watched: AtomicU64,
    /// What is left of it in memory to the end: its stream, its task, a short answer.
    _memory: Option<Reservation>,
}

impl Ongoing {
    /// So many bytes of its body have been taken from the connection.
    pub(crate) fn took(&self, bytes: usize) {
        let taken = |untaken: usize| Some(untaken.saturating_sub(bytes));
        // It cannot fail: the function gives a value each time.
        let _ = self.activity.untaken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken);
    }

    /// It is here whole: it is finished also if the process is told to stop.
    pub(crate) fn arrived(&self) {
        // It may be noticed late, when the answer is there.
        if self.stage.load(Ordering::Relaxed) == Stage::Arriving as u8 {
            self.enter(Stage::Working);
        }
    }

    /// It has its answer. `watched` if nothing else would notice that the peer leaves it lying.
    pub(crate) fn answered(&self, watched: bool) {
        self.enter(Stage::Answering);
        if watched {
            self.watched.store(self.activity.watch() + 1, Ordering::Relaxed);
        }
    }

    /// The peer took a part of the answer.
    pub(crate) fn step(&self) {
        self.activity.step();
        if let Some(id) = self.watched.load(Ordering::Relaxed).checked_sub(1) {
            let now = self.activity.now();
            let mut unwritten = self.activity.unwritten();
            unwritten.iter_mut().filter(|answer| answer.id == id).for_each(|answer| answer.moved = now);
        }
    }

    fn enter(&self, stage: Stage) {
        let before = self.stage.swap(stage as u8, Ordering::Relaxed);
        if before != stage as u8 {
            self.activity.count(stage as u8).fetch_add(1, Ordering::Relaxed);
            self.activity.count(before).fetch_sub(1, Ordering::Relaxed);
            self.activity.step();
        }
    }
}

impl Drop for Ongoing {
    fn drop(&mut self) {
        self.activity.count(self.stage.load(Ordering::Relaxed)).fetch_sub(1, Ordering::Relaxed);
        self.activity.step();
        if let Some(id) = self.watched.load(Ordering::Relaxed).checked_sub(1) {
            self.activity.unwritten().retain(|answer| answer.id != id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_millis(20);

    #[test]
    fn a_connection_is_idle_once_its_last_answer_is_written() {
        let activity = Arc::new(Activity::new());
        let request = activity.begin(None);
        assert!(!activity.is_idle() && !activity.is_working());
        request.arrived();
        assert!(activity.is_working());
        request.answered(true);
        request.arrived();
        assert!(!activity.is_idle() && !activity.is_working());
        drop(request);
        assert!(activity.is_idle());
        std::thread::sleep(PAUSE);
        assert!(activity.still_for() >= PAUSE);
    }

    #[test]
    fn the_answer_that_lies_longest_counts_whatever_the_others_do() {
        let activity = Arc::new(Activity::new());
        let (slow, quick) = (activity.begin(None), activity.begin(None));
        slow.answered(true);
        quick.answered(true);
        std::thread::sleep(PAUSE);
        quick.step();
        assert!(activity.unread_for() >= PAUSE);
        drop(slow);
        quick.step();
        activity.set_blocked(true);
        std::thread::sleep(PAUSE);
        drop(quick);
        assert!(activity.unread_for() >= PAUSE, "the socket takes nothing");
        activity.set_blocked(false);
        assert_eq!(activity.unread_for(), Duration::ZERO);
    }

    #[test]
    fn what_a_request_takes_is_its_own_affair() {
        let activity = Arc::new(Activity::new());
        activity.read(300);
        let request = activity.begin(None);
        assert_eq!(activity.untaken(), 0);
        activity.read(100);
        request.took(70);
        assert_eq!(activity.untaken(), 30);
        request.took(70);
        assert_eq!(activity.untaken(), 0);
    }
}
