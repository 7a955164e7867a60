//! A handler's versions. A version is a digest and never changes; which one is promoted does.

use floodgate_event::report::TrialTally;
use floodgate_event::snapshot::Digest256;
use serde::{Deserialize, Serialize};

use super::rollout::{Concluded, Conclusion, Rollout};

/// A handler as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handler {
    /// The version that sources follow which bind none; always one of `versions`.
    pub promoted: u32,
    /// Oldest first; never empty.
    pub versions: Vec<Version>,
    /// What was promoted before, the last one last; at most [`Self::MAX_HISTORY`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<u32>,
    /// A version that is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// How the last one that was tried did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concluded: Option<Concluded>,
}

/// One uploaded component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// Counts the handler's uploads, from 1.
    pub version: u32,
    /// SHA-256 of the component.
    pub digest: Digest256,
    /// In bytes.
    pub size: u64,
    /// Unix time in microseconds.
    pub created_at_us: u64,
}

impl Handler {
    /// The most versions of a handler.
    pub const MAX_VERSIONS: usize = 1_000;
    /// How many promotions can be taken back.
    pub const MAX_HISTORY: usize = 32;

    /// A handler with its first version, which is promoted at once.
    pub fn first(digest: Digest256, size: u64, created_at_us: u64) -> Self {
        let versions = vec![Version { version: 1, digest, size, created_at_us }];
        Self { promoted: 1, versions, history: Vec::new(), rollout: None, concluded: None }
    }

    /// Makes a version the promoted one, and remembers the one before.
    pub fn promote(&mut self, version: u32) {
        if version != self.promoted {
            self.history.push(std::mem::replace(&mut self.promoted, version));
            let forgotten = self.history.len().saturating_sub(Self::MAX_HISTORY);
            self.history.drain(..forgotten);
        }
    }

    /// The id of what is tried.
    pub fn trial_id(&self) -> Option<u64> {
        self.rollout.as_ref().map(|rollout| rollout.id)
    }

    /// Promotes what was promoted before; says which version that is, if there is one.
    pub fn roll_back(&mut self) -> Option<u32> {
        self.promoted = self.history.pop()?;
        Some(self.promoted)
    }

    /// Ends the rollout, if there is one, and keeps how it went.
    pub fn conclude(
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

    /// The version with this number.
    pub fn version(&self, number: u32) -> Option<&Version> {
        self.versions.iter().find(|version| version.version == number)
    }

    /// The version of these bytes; adds one if there is none yet, and none if there is no room for it.
    pub fn version_of(&mut self, digest: Digest256, size: u64, created_at_us: u64) -> Option<u32> {
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
