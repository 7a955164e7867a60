//! Loads a component as a gateway would, to run it here.

use std::time::{Duration, Instant};

use floodgate_event::source::HandlerLimits;
use floodgate_sandbox::{Engine, EngineError, Handler, Limits, LoadError, OutOfRange};
use prometheus::Registry;

/// A handler that is ready to run.
pub struct Loaded {
    /// The handler, under its limits.
    pub handler: Handler,
    /// How long the compilation took.
    pub compiled_in: Duration,
}

/// Compiles a component with the gateway's own engine, for one event at a time, and binds it to `limits`.
///
/// # Errors
/// If a limit is out of range, or a gateway would refuse the component.
pub fn load(component: &[u8], limits: &HandlerLimits) -> Result<Loaded, Error> {
    let engine = Engine::new(Limits { instances: 1, ..Limits::default() }, &Registry::new())?;
    let start = Instant::now();
    let handler = engine.load(component)?;
    let compiled_in = start.elapsed();
    Ok(Loaded { handler: handler.bind(limits).map_err(Error::Limit)?, compiled_in })
}

/// Why a component was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine does not start on this machine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The component is refused.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// `handler.toml` asks for a limit that no gateway gives by default.
    #[error("handler.toml: {0}")]
    Limit(OutOfRange),
}

impl Error {
    /// Returns true if `handler.toml` is wrong, and false if the component or the machine is.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Limit(_))
    }
}
