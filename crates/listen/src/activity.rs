//! The state of a connection that its parts share: what its socket, its requests and its answers are doing.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::SetOnce;
use tokio::time::Instant;

use crate::memory::Reservation;

/// The shared state of one connection.
#[derive(Debug)]
pub(crate) struct Activity {
    opened: Instant,
    /// How many requests are at each [`Stage`].
    requests: [AtomicUsize; 3],
    /// When a request or an answer last made progress, in milliseconds since `opened`.
    moved: AtomicU64,
    /// Since when the peer reads nothing, in milliseconds since `opened`, plus one. 0 if it reads.
    blocked: AtomicU64,
    /// Bytes read from the socket that no request has taken.
    untaken: AtomicUsize,
    /// How many bytes may still be read before the bytes read so far are processed.
    turn: AtomicUsize,
    /// Reading is paused until there is memory.
    paused: AtomicBool,
    first_request: SetOnce<()>,
    /// How many requests have begun, and the most there may be.
    begun: AtomicU64,
    most: u64,
    /// How many more an HTTP/2 peer may have under way until it hears that no more are taken.
    grace: u64,
    spent: SetOnce<()>,
    overdrawn: SetOnce<()>,
    /// The peer had time to hear that no more requests are taken.
    closed: AtomicBool,
    /// Bytes that HTTP/1 took into its buffer and no request has taken: those of requests that follow.
    buffered: AtomicUsize,
    /// How many of them came last, since the last request began.
    latest: AtomicUsize,
    /// Answers of HTTP/2 that are not written whole, and when they last made progress.
    unwritten: Mutex<Vec<Unwritten>>,
    answers: AtomicU64,
}

#[derive(Debug)]
struct Unwritten {
    id: u64,
    moved: u64,
}

/// How far a request has come.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
enum Stage {
    /// It has begun to arrive.
    Arriving = 0,
    /// It has arrived whole, and waits for its answer.
    Working,
    /// Its answer is being written.
    Answering,
}

impl Activity {
    /// For a connection of at most `most` requests, of which `streams` may be under way at once.
    pub(crate) fn new(most: u64, streams: u32) -> Self {
        Self {
            opened: Instant::now(),
            requests: Default::default(),
            moved: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
            untaken: AtomicUsize::new(0),
            turn: AtomicUsize::new(usize::MAX),
            paused: AtomicBool::new(false),
            first_request: SetOnce::new(),
            begun: AtomicU64::new(0),
            most,
            // Answers that go out before GOAWAY make room for as many again.
            grace: 2 * u64::from(streams),
            spent: SetOnce::new(),
            overdrawn: SetOnce::new(),
            closed: AtomicBool::new(false),
            buffered: AtomicUsize::new(0),
            latest: AtomicUsize::new(0),
            unwritten: Mutex::default(),
            answers: AtomicU64::new(0),
        }
    }

    /// A request has taken a head of at least `head` bytes out of the buffer. Returns how many bytes it took.
    /// What was read after them is counted on: its body, or in HTTP/1 also requests that follow.
    pub(crate) fn take_head(&self, head: usize) -> usize {
        let before = self.buffered.load(Ordering::Relaxed);
        let behind = self.behind(head);
        self.untaken.store(behind, Ordering::Relaxed);
        before.saturating_sub(behind)
    }

    /// A request begins, which holds `memory` until its answer is written.
    pub(crate) fn begin(self: &Arc<Self>, memory: Option<Reservation>) -> Arc<ActiveRequest> {
        // Later requests find it set.
        let _ = self.first_request.set(());
        self.count_request();
        let is_late = self.closed.load(Ordering::Relaxed);
        if !is_late {
            self.count(Stage::Arriving as u8).fetch_add(1, Ordering::Relaxed);
            self.step();
        }
        Arc::new(ActiveRequest {
            activity: Arc::clone(self),
            is_late,
            stage: AtomicU8::new(Stage::Arriving as u8),
            watched: AtomicU64::new(0),
            _memory: memory,
        })
    }

    /// The peer had time to hear that no more requests are taken. Those that begin from now on keep the
    /// connection open no longer.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    fn count_request(&self) {
        let begun = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        if begun >= self.most {
            // Later requests find these set.
            let _ = self.spent.set(());
            if begun > self.most.saturating_add(self.grace) {
                let _ = self.overdrawn.set(());
            }
        }
    }

    /// How many bytes lie behind a head of at least `head` bytes. What is read at last ends the head, if
    /// anything was read for it, so no more than that lies behind. Without this an estimate that is too low
    /// would add up.
    fn behind(&self, head: usize) -> usize {
        let left = self.buffered.load(Ordering::Relaxed).saturating_sub(head);
        let behind = match self.latest.swap(0, Ordering::Relaxed) {
            0 => left,
            latest => left.min(latest),
        };
        self.buffered.store(behind, Ordering::Relaxed);
        behind
    }

    /// Counts bytes that HTTP took into its buffer.
    pub(crate) fn delivered(&self, bytes: usize) {
        self.buffered.fetch_add(bytes, Ordering::Relaxed);
        self.latest.store(bytes, Ordering::Relaxed);
    }

    /// Returns true once as many requests have begun as there may be.
    pub(crate) fn is_spent(&self) -> bool {
        self.begun.load(Ordering::Relaxed) >= self.most
    }

    /// Waits until as many requests have begun as there may be.
    pub(crate) async fn spent(&self) {
        self.spent.wait().await;
    }

    /// Waits until so many further requests have begun that the peer must be ignoring GOAWAY.
    pub(crate) async fn overdrawn(&self) {
        self.overdrawn.wait().await;
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

    /// Returns true if no request and no answer is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.requests.iter().all(|requests| requests.load(Ordering::Relaxed) == 0)
    }

    /// Returns true if a complete request waits for its answer.
    pub(crate) fn is_working(&self) -> bool {
        self.count(Stage::Working as u8).load(Ordering::Relaxed) > 0
    }

    /// How long no request or answer has made progress.
    pub(crate) fn still_for(&self) -> Duration {
        since(self.now(), self.moved.load(Ordering::Relaxed))
    }

    /// How long the peer has not read an answer that is waiting.
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

    /// Records whether the peer reads.
    pub(crate) fn set_blocked(&self, blocked: bool) {
        // Nearly always nothing changes, and one load is enough.
        if blocked != self.is_blocked() {
            let value = if blocked { self.now().saturating_add(1) } else { 0 };
            self.blocked.store(value, Ordering::Relaxed);
        }
    }

    /// Counts bytes that were read from the socket.
    pub(crate) fn read(&self, bytes: usize) {
        self.untaken.fetch_add(bytes, Ordering::Relaxed);
        let left = self.turn.load(Ordering::Relaxed);
        self.turn.store(left.saturating_sub(bytes), Ordering::Relaxed);
    }

    /// How many bytes were read that no request has taken.
    pub(crate) fn untaken(&self) -> usize {
        self.untaken.load(Ordering::Relaxed)
    }

    /// Allows so many bytes to be read before they are processed.
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

/// A request under way and its answer. It counts until the answer is written.
#[derive(Debug)]
pub(crate) struct ActiveRequest {
    activity: Arc<Activity>,
    /// It began when no more were taken, and counts for nothing.
    is_late: bool,
    stage: AtomicU8,
    /// Its id among the unwritten answers, plus one. 0 if it has none.
    watched: AtomicU64,
    /// The memory that it holds to the end: its stream, its task, a short answer.
    _memory: Option<Reservation>,
}

impl ActiveRequest {
    /// Its body took so many bytes from the connection.
    pub(crate) fn took(&self, bytes: usize) {
        for counter in [&self.activity.untaken, &self.activity.buffered] {
            let taken = |untaken: usize| Some(untaken.saturating_sub(bytes));
            // It cannot fail: the function gives a value each time.
            let _ = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken);
        }
    }

    /// It has arrived whole. From here on it is finished even if the process stops.
    pub(crate) fn arrived(&self) {
        // It may be noticed late, when the answer is there.
        if self.stage.load(Ordering::Relaxed) == Stage::Arriving as u8 {
            self.enter(Stage::Working);
        }
    }

    /// It has its answer. With `watched`, this records its progress, because nothing else notices a peer that
    /// does not read it.
    pub(crate) fn answered(&self, watched: bool) {
        self.enter(Stage::Answering);
        if watched {
            self.watched.store(self.activity.watch() + 1, Ordering::Relaxed);
        }
    }

    /// The peer read a part of the answer.
    pub(crate) fn step(&self) {
        if !self.is_late {
            self.activity.step();
        }
        if let Some(id) = self.watched.load(Ordering::Relaxed).checked_sub(1) {
            let now = self.activity.now();
            let mut unwritten = self.activity.unwritten();
            unwritten.iter_mut().filter(|answer| answer.id == id).for_each(|answer| answer.moved = now);
        }
    }

    fn enter(&self, stage: Stage) {
        let before = self.stage.swap(stage as u8, Ordering::Relaxed);
        if before != stage as u8 && !self.is_late {
            self.activity.count(stage as u8).fetch_add(1, Ordering::Relaxed);
            self.activity.count(before).fetch_sub(1, Ordering::Relaxed);
            self.activity.step();
        }
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        if !self.is_late {
            self.activity.count(self.stage.load(Ordering::Relaxed)).fetch_sub(1, Ordering::Relaxed);
            self.activity.step();
        }
        if let Some(id) = self.watched.load(Ordering::Relaxed).checked_sub(1) {
            self.activity.unwritten().retain(|answer| answer.id != id);
        }
    }
}

#[cfg(test)]
mod tests;
