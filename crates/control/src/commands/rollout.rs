//! Changes which version of a handler runs.

use floodgate_api::document::{CanaryDocument, ShadowDocument};
use floodgate_event::Name;

use super::Mode;
use crate::{ChangeError, Changed, Configuration, Control, Kind, Precondition, Refused};

impl Control {
    /// Makes a version the one that bindings without a version run.
    ///
    /// # Errors
    /// As [`Self::put_source`], and if there is no such version.
    pub async fn promote(
        &self,
        handler: &Name,
        version: u32,
        precondition: &Precondition,
    ) -> Result<Changed<()>, ChangeError> {
        let promote = |all: &mut Configuration, now| all.promote(handler, version, now);
        self.change_validated(Mode::Write, self.of_handler(handler, precondition, promote)).await
    }

    /// Promotes the version that was promoted before, and returns it.
    ///
    /// # Errors
    /// As [`Self::promote`], and if there was none before.
    pub async fn roll_back(
        &self,
        handler: &Name,
        precondition: &Precondition,
    ) -> Result<Changed<u32>, ChangeError> {
        let roll_back = |all: &mut Configuration, now| all.roll_back(handler, now);
        // It ran with these parameters before, and the way back must not wait for a compiler.
        self.change(Mode::Write, self.of_handler(handler, precondition, roll_back)).await
    }

    /// Runs a version beside the promoted one. Its outcomes are compared, and have no effect.
    ///
    /// # Errors
    /// As [`Self::promote`].
    pub async fn shadow(
        &self,
        handler: &Name,
        document: &ShadowDocument,
        precondition: &Precondition,
    ) -> Result<Changed<()>, ChangeError> {
        let shadow = |all: &mut Configuration, now| all.shadow(handler, document, now);
        self.change_validated(Mode::Write, self.of_handler(handler, precondition, shadow)).await
    }

    /// Runs a version in place of the promoted one for a growing share of the events.
    ///
    /// # Errors
    /// As [`Self::promote`].
    pub async fn canary(
        &self,
        handler: &Name,
        document: &CanaryDocument,
        precondition: &Precondition,
    ) -> Result<Changed<()>, ChangeError> {
        let canary = |all: &mut Configuration, now| all.canary(handler, document, now);
        self.change_validated(Mode::Write, self.of_handler(handler, precondition, canary)).await
    }

    /// Ends a shadow or canary. The promoted version stays.
    ///
    /// # Errors
    /// As [`Self::promote`], and if no version is tried.
    pub async fn stop_rollout(
        &self,
        handler: &Name,
        precondition: &Precondition,
    ) -> Result<Changed<()>, ChangeError> {
        let stop = |all: &mut Configuration, now| all.stop_rollout(handler, now);
        self.change(Mode::Write, self.of_handler(handler, precondition, stop)).await
    }

    /// Makes a change of a handler, dated now. It is refused if the precondition does not hold.
    fn of_handler<T>(
        &self,
        handler: &Name,
        precondition: &Precondition,
        apply: impl Fn(&mut Configuration, u64) -> Result<T, Refused>,
    ) -> impl Fn(&mut Configuration) -> Result<T, Refused> {
        let now_us = self.0.clock.now_us();
        move |configuration| {
            configuration.check(precondition, Kind::Handler, handler)?;
            apply(configuration, now_us)
        }
    }
}
