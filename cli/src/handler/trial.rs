//! A component as a gateway would load it, to try it out here.

use std::time::{Duration, Instant};

use floodgate_event::source::HandlerLimits;
use floodgate_sandbox::{Engine, Handler, Limits, OutOfRange};
use prometheus::Registry;

use crate::exit::Failure;

/// A handler that is loaded.
pub(crate) struct Trial {
    /// It.
    pub(crate) handler: Handler,
    /// How long compiling it took.
    pub(crate) compiled_in: Duration,
}

impl Trial {
    /// Compiles a component under the gateway's own engine and these limits, for one event at a time.
    ///
    /// # Errors
    /// If a limit makes no sense, or a gateway would not take the component.
    pub(crate) fn load(component: &[u8], limits: &HandlerLimits) -> Result<Self, Failure> {
        let engine = Engine::new(Limits { instances: 1, ..Limits::default() }, &Registry::new());
        let engine = engine.map_err(Failure::work)?;
        let start = Instant::now();
        let handler = engine.load(component).map_err(Failure::work)?;
        let compiled_in = start.elapsed();
        let handler = handler.bind(limits).map_err(|limit| Failure::usage(LimitError(limit)))?;
        Ok(Self { handler, compiled_in })
    }
}

/// A limit that no gateway gives by default.
#[derive(Debug, thiserror::Error)]
#[error("handler.toml: {0}")]
struct LimitError(OutOfRange);
