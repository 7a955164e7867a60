//! What a replay needs of the configuration: a version of a handler, and its component in the region that
//! replays, which need not bind it.

use async_nats::jetstream::Context;
use floodgate_event::proto::Pinned;
use floodgate_event::{Digest256, Name};

use super::Control;
use super::components::{ComponentError, Components};

/// A version of a handler, which a replay runs whatever is promoted meanwhile.
#[derive(Clone, Debug)]
pub struct PinnedVersion {
    name: Name,
    version: u32,
    digest: Digest256,
    size: u64,
}

impl PinnedVersion {
    /// The version as a replay request names it to a gateway.
    pub fn to_proto(&self) -> Pinned {
        let digest = self.digest.as_bytes().to_vec();
        Pinned { name: self.name.to_string(), version: self.version, digest, size: self.size }
    }
}

impl Control {
    /// Finds a version of a handler. `None` if there is no such handler or version.
    pub fn pinned_version(&self, name: &Name, version: u32) -> Option<PinnedVersion> {
        let configuration = self.configuration();
        let known = configuration.handlers.get(name)?.version(version)?;
        Some(PinnedVersion { name: name.clone(), version, digest: known.digest, size: known.size })
    }

    /// Copies the version's component to the region, unless it is there.
    ///
    /// # Errors
    /// If the centre or the region cannot be reached, or the component is not in the centre.
    pub async fn copy_component(
        &self,
        version: &PinnedVersion,
        region: &Context,
    ) -> Result<(), ComponentError> {
        let there = Components::open(region).await?;
        if there.has(version.digest, version.size).await? {
            return Ok(());
        }
        let component = Components::open(&self.0.centre).await?.get(version.digest).await?;
        there.put(version.digest, &component).await
    }
}
