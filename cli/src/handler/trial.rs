//! A component as a gateway would load it, to try it out here.

use std::time::{Duration, Instant};

use floodgate_gateway::handle::{Engine, EngineError, Handler, InvalidLimit, Limits};
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
    pub(crate) fn load(component: &[u8], limits: Limits) -> Result<Self, Failure> {
        let engine = Engine::new(Limits { instances: 1, ..limits }, &Registry::new()).map_err(refusal)?;
        let start = Instant::now();
        let handler = engine.load(component).map_err(Failure::work)?;
        Ok(Self { handler, compiled_in: start.elapsed() })
    }
}

fn refusal(error: EngineError) -> Failure {
    match error {
        EngineError::Limit(limit) => Failure::usage(LimitError(limit)),
        other => Failure::work(other),
    }
}

/// A limit that no gateway takes either; the cause names it as the gateway's configuration does.
#[derive(Debug, thiserror::Error)]
#[error("handler.toml: [limits] are none that a gateway can have")]
struct LimitError(#[source] InvalidLimit);
