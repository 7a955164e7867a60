//! Chains for a replay: with another version of a handler, or starting at a given handler.

use std::sync::Arc;

use super::Chain;
use super::bound::BoundHandler;
use super::version::Version;

impl Chain {
    /// The part of the chain that starts with the handler `from`, or the whole chain if `from` is none. A
    /// child of a split is replayed from the handler after the split, because its parent went through those
    /// before.
    ///
    /// # Errors
    /// If the chain has no such handler.
    pub fn starting_at(&self, from: Option<&str>) -> Result<Self, NotBound> {
        let Some(name) = from else { return Ok(self.of(self.handlers.clone())) };
        let start = self.handlers.iter().position(|handler| handler.version.id().name.as_str() == name);
        let start = start.ok_or_else(|| NotBound(name.to_owned()))?;
        Ok(self.of(self.handlers[start..].to_vec()))
    }

    /// The same chain, with this version in place of the bound one and without its trial.
    ///
    /// # Errors
    /// If the chain has no such handler.
    pub fn with(mut self, pinned: &Arc<Version>) -> Result<Self, NotBound> {
        let name = &pinned.id().name;
        let mut handlers =
            self.handlers.iter_mut().filter(|handler| handler.version.id().name == *name).peekable();
        if handlers.peek().is_none() {
            return Err(NotBound(name.to_string()));
        }
        for handler in handlers {
            *handler = BoundHandler { version: Arc::clone(pinned), trial: None, ..handler.clone() };
        }
        Ok(self)
    }

    fn of(&self, handlers: Vec<BoundHandler>) -> Self {
        Self { handlers, raw: self.raw, logs: self.logs.clone() }
    }
}

/// The chain has no handler of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its source has no handler `{0}` for it now")]
pub struct NotBound(String);
