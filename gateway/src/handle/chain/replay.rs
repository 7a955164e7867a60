//! Chains for a replay: with another version of a handler, or from one handler on.

use floodgate_event::Name;
use floodgate_event::snapshot::{Binding, Digest256};

use super::{Chain, Link};
use crate::handle::Handler;

/// A version that takes the place of the bound one.
#[derive(Debug)]
pub struct Pinned {
    /// The handler's name, as bindings have it.
    pub name: Name,
    /// The version's number.
    pub version: u32,
    /// The component's.
    pub digest: Digest256,
    /// The component, compiled.
    pub handler: Handler,
}

impl Chain {
    /// The part of the chain that starts with the handler `from`; all of it if that is none. What a child of a split
    /// goes through, since its parent has what came before.
    ///
    /// # Errors
    /// If the chain has no such handler.
    pub fn starting_at(&self, from: Option<&str>) -> Result<Self, NotBound> {
        let Some(name) = from else { return Ok(self.of(self.links.clone())) };
        let start = self.links.iter().position(|link| link.binding.name.as_str() == name);
        let start = start.ok_or_else(|| NotBound(name.to_owned()))?;
        Ok(self.of(self.links[start..].to_vec()))
    }

    /// The same chain with this version in the place of the bound one.
    ///
    /// # Errors
    /// If the chain has no such handler.
    pub fn with(mut self, pinned: &Pinned) -> Result<Self, NotBound> {
        let mut links = self.links.iter_mut().filter(|link| link.binding.name == pinned.name).peekable();
        if links.peek().is_none() {
            return Err(NotBound(pinned.name.to_string()));
        }
        for link in links {
            let (version, digest) = (pinned.version, pinned.digest);
            let binding = Binding { version, digest, ..link.binding.clone() };
            *link = Link::new(binding, pinned.handler.clone());
        }
        Ok(self)
    }

    fn of(&self, links: Vec<Link>) -> Self {
        Self { links, raw: self.raw, metrics: self.metrics.clone() }
    }
}

/// No such handler runs over the event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its source has no handler `{0}` for it now")]
pub struct NotBound(String);
