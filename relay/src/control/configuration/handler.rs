//! A handler's versions. A version is a digest and never changes; which one is promoted does.

use floodgate_event::snapshot::Digest256;
use serde::{Deserialize, Serialize};

/// A handler as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Handler {
    /// The version that sources follow which bind none; always one of `versions`.
    pub(crate) promoted: u32,
    /// Oldest first; never empty.
    pub(crate) versions: Vec<Version>,
}

/// One uploaded component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Version {
    pub(crate) version: u32,
    pub(crate) digest: Digest256,
    /// In bytes.
    pub(crate) size: u64,
    /// Unix time in microseconds.
    pub(crate) created_at_us: u64,
}

impl Handler {
    /// The most versions of a handler.
    pub(crate) const MAX_VERSIONS: usize = 1_000;

    /// A handler with its first version, which is promoted at once.
    pub(crate) fn first(digest: Digest256, size: u64, created_at_us: u64) -> Self {
        Self { promoted: 1, versions: vec![Version { version: 1, digest, size, created_at_us }] }
    }

    /// The version with this number.
    pub(crate) fn version(&self, number: u32) -> Option<&Version> {
        self.versions.iter().find(|version| version.version == number)
    }

    /// The version of these bytes; adds one if there is none yet, and none if there is no room for it.
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
