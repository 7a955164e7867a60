//! Taking a handler's component: checked, stored under its digest, then named by a version.
//! In that order, so that a crash leaves at most a component that nothing names.

use bytes::Bytes;
use floodgate_event::Name;
use floodgate_event::snapshot::Digest256;

use super::checker::CheckError;
use super::components::{ComponentError, Components};
use super::store::ChangeError;
use super::{Control, Kind, Mode, Precondition};

/// What became of an upload.
pub struct Uploaded {
    pub version: u32,
    pub digest: Digest256,
    pub revision: u64,
}

impl Control {
    /// Takes a component as a version of `name`; the same bytes are the same version again.
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

/// Why an upload was not taken.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The component did not pass, or could not be checked.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// It could not be stored.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// It could not be named.
    #[error(transparent)]
    Change(#[from] ChangeError),
}
