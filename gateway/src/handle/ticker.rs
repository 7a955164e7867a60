//! Moves the engine's epoch, so that running guests look at their deadline.

use std::io;
use std::thread;
use std::time::Duration;

/// How often a running guest gives way to others and has its deadline checked.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// Starts the thread that ticks until the engine is gone; it must not keep the engine alive.
pub(crate) fn spawn(engine: &wasmtime::Engine) -> io::Result<()> {
    let engine = engine.weak();
    let tick = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TICK);
        }
    };
    thread::Builder::new().name("handler-ticker".into()).spawn(tick).map(drop)
}
