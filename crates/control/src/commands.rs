//! The changes that the admin API asks for.
//!
//! Each is applied to the latest document, and written only if that is still the latest one then. Another
//! relay's change that comes first is never lost: the change is applied again on top of it.

mod rollout;
mod upload;

pub use upload::{UploadError, Uploaded};

use floodgate_api::document::{DestinationDocument, SourceDocument};
use floodgate_event::Name;

use super::change::{Kind, Refused};
use super::error::MAX_CONFLICTS;
use super::{ChangeError, Changed, Configuration, Control, Precondition, StoreError};

/// Whether a change is made or only shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The change is stored.
    Write,
    /// The change is validated and returned, and not stored.
    DryRun,
}

impl Control {
    /// Creates or replaces a source. Its handlers are first asked whether they accept their parameters.
    ///
    /// # Errors
    /// If the precondition fails, the document is refused, or the centre cannot be reached.
    pub async fn put_source(
        &self,
        name: &Name,
        document: &SourceDocument,
        mode: Mode,
        precondition: &Precondition,
    ) -> Result<Changed<()>, ChangeError> {
        self.change_validated(mode, |configuration| {
            configuration.check(precondition, Kind::Source, name)?;
            configuration.put_source(name, document, &self.0.vault)
        })
        .await
    }

    /// Creates or replaces a destination.
    ///
    /// # Errors
    /// As [`Self::put_source`].
    pub async fn put_destination(
        &self,
        name: &Name,
        document: &DestinationDocument,
        mode: Mode,
        precondition: &Precondition,
    ) -> Result<Changed<()>, ChangeError> {
        self.change(mode, |configuration| {
            configuration.check(precondition, Kind::Destination, name)?;
            configuration.put_destination(name, document, &self.0.vault)
        })
        .await
    }

    /// Deletes an object that nothing uses.
    ///
    /// # Errors
    /// As [`Self::put_source`], and if there is none of this name or something uses it.
    pub async fn delete(
        &self,
        kind: Kind,
        name: &Name,
        precondition: &Precondition,
    ) -> Result<Changed<()>, ChangeError> {
        self.change(Mode::Write, |configuration| {
            configuration.check(precondition, kind, name)?;
            match kind {
                Kind::Source => configuration.delete_source(name),
                Kind::Destination => configuration.delete_destination(name),
                Kind::Handler => configuration.delete_handler(name),
            }
        })
        .await
    }

    async fn change<T>(
        &self,
        mode: Mode,
        apply: impl Fn(&mut Configuration) -> Result<T, Refused>,
    ) -> Result<Changed<T>, ChangeError> {
        match mode {
            Mode::Write => self.0.store.change(apply).await,
            Mode::DryRun => self.0.store.preview(apply).await,
        }
    }

    /// Makes a change that may bind handlers anew, and so must be validated against components and gateways.
    /// What was validated is what is written: if another change comes between, both are validated together.
    async fn change_validated<T>(
        &self,
        mode: Mode,
        apply: impl Fn(&mut Configuration) -> Result<T, Refused>,
    ) -> Result<Changed<T>, ChangeError> {
        for _ in 0..MAX_CONFLICTS {
            let preview = self.0.store.preview(&apply).await?;
            self.validate(&preview.before, &preview.after).await?;
            if mode == Mode::DryRun {
                return Ok(preview);
            }
            let validated = preview.before.revision;
            let changed = self.0.store.change(|configuration| match configuration.revision == validated {
                true => apply(configuration),
                false => Err(Refused::ChangedMeanwhile),
            });
            match changed.await {
                Err(ChangeError::Refused(Refused::ChangedMeanwhile)) => {}
                settled => return settled,
            }
        }
        Err(StoreError::Busy.into())
    }
}
