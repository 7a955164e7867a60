//! Bringing a version of a handler to a region that need not bind it, for a replay.

use async_nats::jetstream::Context;
use floodgate_event::Name;
use floodgate_event::proto::Pinned;
use floodgate_event::snapshot::Digest256;

use super::Control;
use super::components::{ComponentError, Components};

/// A version of a handler, as a replay names it.
#[derive(Clone, Debug)]
pub struct Version {
    name: Name,
    version: u32,
    digest: Digest256,
    size: u64,
}

impl Version {
    /// As gateways are told of it.
    pub fn to_proto(&self) -> Pinned {
        let digest = self.digest.as_bytes().to_vec();
        Pinned { name: self.name.to_string(), version: self.version, digest, size: self.size }
    }
}

impl Control {
    /// A version of a handler; none if there is no such handler or version.
    pub fn version(&self, name: &Name, version: u32) -> Option<Version> {
        let configuration = self.configuration();
        let known = configuration.handlers.get(name)?.version(version)?;
        Some(Version { name: name.clone(), version, digest: known.digest, size: known.size })
    }

    /// Copies its component to the region, unless it is there.
    pub async fn bring(&self, version: &Version, region: &Context) -> Result<(), ComponentError> {
        let there = Components::open(region).await?;
        if there.has(version.digest, version.size).await? {
            return Ok(());
        }
        let component = Components::open(&self.0.centre).await?.get(version.digest).await?;
        there.put(version.digest, &component).await
    }
}
