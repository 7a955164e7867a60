//! A new version of a handler beside the promoted one: on which events it runs, and whose outcome counts.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Digest256, EventId};

/// A version that is tried on a share of the events of those sources that follow the promoted version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// The revision of the configuration that began the trial, or its current step. It tells the counts of
    /// one trial from those of another.
    pub id: u64,
    /// Which of the two versions decides about an event.
    pub kind: TrialKind,
    /// The version that is tried.
    pub version: u32,
    /// The SHA-256 of the tried version's component.
    pub digest: Digest256,
    /// The share of events that the trial runs on.
    pub share: Share,
}

/// Whose outcome counts on an event that both versions run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(utoipa::ToSchema),
    schema(
        description = "Whose outcome counts where two versions run. `shadow`: the promoted version's. `canary`: the tried version's."
    )
)]
#[serde(rename_all = "lowercase")]
pub enum TrialKind {
    /// The promoted version's; the tried one's is compared and thrown away.
    Shadow,
    /// The tried version's, unless it fails: then the promoted one's.
    Canary,
}

impl TrialKind {
    /// The name used in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Canary => "canary",
        }
    }
}

/// A share of a whole: 0.01 % to 100 %, in hundredths of a percent. In JSON a number of percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(value_type = f64, minimum = 0.01, maximum = 100, description = "A share of the events, in percent."))]
#[serde(try_from = "f64", into = "f64")]
pub struct Share(u16);

impl Share {
    const WHOLE: u16 = 10_000;

    /// Returns true if the event is within this share. The id decides, so copies in two regions get the same
    /// answer, and raising the percentage keeps every event that was already included.
    pub fn takes(self, event: &EventId) -> bool {
        let bytes = event.as_bytes();
        // Ids are hashes, or ULIDs whose last half is random.
        let tail = u64::from_be_bytes([
            bytes[8], bytes[9], bytes[10], bytes[11], bytes[12], bytes[13], bytes[14], bytes[15],
        ]);
        tail % u64::from(Self::WHOLE) < u64::from(self.0)
    }

    /// Returns true if `part` is more than this share of `whole`.
    pub fn is_exceeded(self, part: u64, whole: u64) -> bool {
        u128::from(part) * u128::from(Self::WHOLE) > u128::from(whole) * u128::from(self.0)
    }
}

impl TryFrom<f64> for Share {
    type Error = InvalidShare;

    fn try_from(percent: f64) -> Result<Self, InvalidShare> {
        let hundredths = (percent * 100.0).round();
        if (1.0..=f64::from(Self::WHOLE)).contains(&hundredths) {
            // In range, so nothing is cut off.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            return Ok(Self(hundredths as u16));
        }
        Err(InvalidShare)
    }
}

impl From<Share> for f64 {
    fn from(share: Share) -> Self {
        Self::from(share.0) / 100.0
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", f64::from(*self))
    }
}

/// A percentage that is not within 0.01 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a percentage of 0.01 to 100")]
pub struct InvalidShare;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::BodyHash;

    fn share(percent: f64) -> Share {
        Share::try_from(percent).unwrap()
    }

    #[test]
    fn a_share_takes_its_part_of_the_events_and_larger_ones_include_it() {
        let ids: Vec<_> = (0..20_000_u32)
            .map(|number| EventId::from_body("default", "test", &BodyHash::of(&number.to_be_bytes())))
            .collect();
        let taken = |percent| ids.iter().filter(|id| share(percent).takes(id)).collect::<Vec<_>>();
        assert!((150..250).contains(&taken(1.0).len()), "{}", taken(1.0).len());
        assert_eq!(taken(100.0).len(), ids.len());
        assert!(taken(1.0).iter().all(|id| share(5.0).takes(id)));
    }

    #[test]
    fn percentages_are_read_and_compared_exactly() {
        for bad in [0.0, -1.0, 100.01, 0.004, f64::NAN, f64::INFINITY] {
            assert_eq!(Share::try_from(bad), Err(InvalidShare), "{bad}");
        }
        assert_eq!(serde_json::to_string(&share(0.5)).unwrap(), "0.5");
        assert!(!share(1.0).is_exceeded(1, 100));
        assert!(share(1.0).is_exceeded(2, 199));
    }
}
