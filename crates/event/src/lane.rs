//! Lanes: a regional stream each, so that bulk traffic cannot fill the disk that critical events need.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::proto;

/// Which of a region's streams an event goes through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(description = "How urgent an event is."))]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// For events that must not wait behind others, such as payments.
    Critical,
    /// The default of a source.
    #[default]
    Standard,
    /// For large numbers of events that may wait, such as imports.
    Bulk,
}

impl Lane {
    /// Every lane, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Critical, Self::Standard, Self::Bulk];

    /// The name used in subjects, metrics and configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Standard => "standard",
            Self::Bulk => "bulk",
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Lane> for proto::Lane {
    fn from(lane: Lane) -> Self {
        match lane {
            Lane::Critical => Self::Critical,
            Lane::Standard => Self::Standard,
            Lane::Bulk => Self::Bulk,
        }
    }
}

impl TryFrom<proto::Lane> for Lane {
    type Error = UnknownLane;

    fn try_from(lane: proto::Lane) -> Result<Self, UnknownLane> {
        match lane {
            proto::Lane::Critical => Ok(Self::Critical),
            proto::Lane::Standard => Ok(Self::Standard),
            proto::Lane::Bulk => Ok(Self::Bulk),
            proto::Lane::Unspecified => Err(UnknownLane(0)),
        }
    }
}

impl TryFrom<i32> for Lane {
    type Error = UnknownLane;

    /// Reads the number of a decoded message.
    fn try_from(number: i32) -> Result<Self, UnknownLane> {
        proto::Lane::try_from(number).map_err(|_| UnknownLane(number))?.try_into()
    }
}

impl std::str::FromStr for Lane {
    type Err = UnknownLaneName;

    fn from_str(name: &str) -> Result<Self, UnknownLaneName> {
        Self::ALL.into_iter().find(|lane| lane.as_str() == name).ok_or_else(|| UnknownLaneName(name.into()))
    }
}

/// A lane number that this version does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown lane number {0}")]
pub struct UnknownLane(i32);

/// A lane name that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown lane `{0}`: expected `critical`, `standard` or `bulk`")]
pub struct UnknownLaneName(String);
