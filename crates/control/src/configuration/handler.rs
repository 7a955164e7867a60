//! A handler and its versions. A version never changes, and which of them is promoted does.

use floodgate_event::Digest256;
use floodgate_event::report::TrialTally;
use serde::{Deserialize, Serialize};

use super::rollout::{Concluded, Conclusion, Rollout};

/// A handler as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handler {
    /// The version that bindings without a version run. Always one of `versions`.
    pub promoted: u32,
    /// The versions, oldest first. Never empty.
    pub versions: Vec<Version>,
    /// The versions that were promoted before, the latest last. At most [`Self::MAX_HISTORY`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<u32>,
    /// The rollout that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// How the last rollout ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concluded: Option<Concluded>,
}

/// An uploaded component. It never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// The version's number. The first is 1, and each upload of new bytes has the next one.
    pub version: u32,
    /// The SHA-256 of the component.
    pub digest: Digest256,
    /// The size of the component in bytes.
    pub size: u64,
    /// When it was uploaded. Unix time in microseconds.
    pub created_at_us: u64,
}

impl Handler {
    /// The most versions of a handler.
    pub const MAX_VERSIONS: usize = 1_000;
    /// How many promotions can be rolled back.
    pub const MAX_HISTORY: usize = 32;

    /// A handler with its first version, which is promoted at once.
    pub(crate) fn first(digest: Digest256, size: u64, created_at_us: u64) -> Self {
        let versions = vec![Version { version: 1, digest, size, created_at_us }];
        Self { promoted: 1, versions, history: Vec::new(), rollout: None, concluded: None }
    }

    /// Makes a version the promoted one, and remembers the one before.
    pub(crate) fn promote(&mut self, version: u32) {
        if version != self.promoted {
            self.history.push(std::mem::replace(&mut self.promoted, version));
            let forgotten = self.history.len().saturating_sub(Self::MAX_HISTORY);
            self.history.drain(..forgotten);
        }
    }

    /// The id of the rollout that is under way: see [`Rollout::id`].
    pub fn trial_id(&self) -> Option<u64> {
        self.rollout.as_ref().map(|rollout| rollout.id)
    }

    /// Promotes the version that was promoted before, and returns it. `None` if there was none.
    pub(crate) fn roll_back(&mut self) -> Option<u32> {
        self.promoted = self.history.pop()?;
        Some(self.promoted)
    }

    /// Ends the rollout, if there is one, and keeps how it ended.
    pub(crate) fn conclude(
        &mut self,
        conclusion: Conclusion,
        reason: impl Into<String>,
        tally: TrialTally,
        now_us: u64,
    ) {
        if let Some(rollout) = self.rollout.take() {
            self.concluded = Some(rollout.concluded(conclusion, reason.into(), tally, now_us));
        }
    }

    /// The version with this number, if there is one.
    pub fn version(&self, number: u32) -> Option<&Version> {
        self.versions.iter().find(|version| version.version == number)
    }

    /// The version of these bytes, which is added if there is none yet. `None` if there are
    /// [`Self::MAX_VERSIONS`] others.
    pub(crate) fn version_of(&mut self, digest: Digest256, size: u64, created_at_us: u64) -> Option<u32> {
        if let Some(known) = self.versions.iter().find(|version| version.digest == digest) {
            return Some(known.version);
        }
        if self.versions.len() >= Self::MAX_VERSIONS {
            return None;
        }
        let version = self.versions.last().map_or(0, |last| last.version) + 1;
        self.versions.push(Version { version, digest, size, created_at_us });
        Some(version)
    }
}
