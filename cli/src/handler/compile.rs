//! `floodgate handler compile`: what a gateway runs on a component that it has no machine code of. The
//! component on standard input, the code on standard output; or there, with exit status 1, why there is none.

use std::io::{self, Read as _, Write as _};
use std::time::Duration;

use floodgate_event::causes::chain;
use floodgate_sandbox::{Engine, Limits};
use prometheus::Registry;

use super::restrict::restrict;
use crate::exit::Failure;
use crate::output;

/// The most that any gateway's configuration lets a component have.
const MAX_COMPONENT_BYTES: usize = 64 * 1024 * 1024;

pub(crate) fn run() -> Result<(), Failure> {
    restrict(Duration::ZERO).map_err(Failure::work)?;
    // Where memory runs out this process is the one to go.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let limits = Limits { instances: 1, component_bytes: MAX_COMPONENT_BYTES, ..Limits::default() };
    let engine = Engine::new(limits, &Registry::new()).map_err(Failure::work)?;
    let mut component = Vec::new();
    io::stdin()
        .lock()
        .take(MAX_COMPONENT_BYTES as u64 + 1)
        .read_to_end(&mut component)
        .map_err(Failure::work)?;
    match engine.precompile(&component) {
        Ok(code) => io::stdout().lock().write_all(code.as_bytes()).map_err(Failure::work),
        Err(error) => {
            output::print(&chain(&error))?;
            Err(Failure::work("the component was refused"))
        }
    }
}
