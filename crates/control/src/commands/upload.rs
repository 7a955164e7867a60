//! Uploads a handler's component: checks it, stores it under its digest, then names it by a version. In this
//! order, so that a crash leaves at most a component that no version names.

use bytes::Bytes;
use floodgate_event::{Digest256, Name};

use super::Mode;
use crate::checker::CheckError;
use crate::components::{ComponentError, Components};
use crate::{ChangeError, Control, Kind, Precondition};

/// A version that an upload made, or found.
pub struct Uploaded {
    /// The handler's version with these bytes.
    pub version: u32,
    /// The SHA-256 of the component.
    pub digest: Digest256,
    /// The configuration's revision that has the version.
    pub revision: u64,
}

impl Control {
    /// Stores a component as a version of the handler `name`. The same bytes again are the same version.
    ///
    /// # Errors
    /// If the component is refused or cannot be checked, the precondition fails, or the centre cannot be
    /// reached.
    pub async fn upload(
        &self,
        name: &Name,
        component: Bytes,
        precondition: &Precondition,
    ) -> Result<Uploaded, UploadError> {
        let digest = Digest256::of(&component);
        if !self.has_version(name, digest) {
            self.0.checker.check(component.clone()).await?;
        }
        Components::open(&self.0.centre).await?.put(digest, &component).await?;
        let (size, now) = (component.len() as u64, self.0.clock.now_us());
        let changed = self.change(Mode::Write, |configuration| {
            configuration.check(precondition, Kind::Handler, name)?;
            configuration.add_version(name, digest, size, now)
        });
        let changed = changed.await?;
        let (version, revision) = (changed.value, changed.after.revision);
        tracing::info!(handler = %name, version, %digest, revision, "took a component");
        Ok(Uploaded { version, digest, revision })
    }

    fn has_version(&self, name: &Name, digest: Digest256) -> bool {
        let configuration = self.configuration();
        let handler = configuration.handlers.get(name);
        handler.is_some_and(|handler| handler.versions.iter().any(|version| version.digest == digest))
    }
}

/// Why an upload made no version.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The component did not pass, or could not be checked.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The component could not be stored.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// The component is stored, but no version names it.
    #[error(transparent)]
    Change(#[from] ChangeError),
}
