//! Advances the engine's epoch, so that running guests check their deadlines.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

/// How often a running guest yields to others and has its deadline checked.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// How often the thread checks whether the engine still exists while it has nothing to tick for.
const IDLE: Duration = Duration::from_secs(5);

/// The thread that advances the epoch.
pub(crate) struct Ticker {
    thread: Thread,
    needed: Arc<AtomicBool>,
}

impl Ticker {
    /// Starts the thread. It ends with the engine, which it must not keep alive.
    pub(crate) fn spawn(engine: &wasmtime::Engine) -> io::Result<Self> {
        let engine = engine.weak();
        let needed = Arc::new(AtomicBool::new(false));
        let is_needed = Arc::clone(&needed);
        let tick = move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                match is_needed.load(Ordering::Acquire) {
                    true => thread::sleep(TICK),
                    false => thread::park_timeout(IDLE),
                }
            }
        };
        let thread = thread::Builder::new().name("handler-ticker".into()).spawn(tick)?.thread().clone();
        Ok(Self { thread, needed })
    }

    /// Ticks from now on. A gateway without handlers has nothing to interrupt, and a thousand wake-ups a
    /// second cost something.
    pub(crate) fn start(&self) {
        self.needed.store(true, Ordering::Release);
        self.thread.unpark();
    }
}
