//! Shards: the parts that a deployment's events are split into. Their number is fixed for a deployment.

use std::fmt;
use std::num::{NonZeroU32, ParseIntError};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::EventId;

/// The number of a shard, from 0. Formats contain the number itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShardId(u32);

impl ShardId {
    /// The first shard, which every deployment has. Its writer also distributes the configuration.
    pub const FIRST: Self = Self(0);

    /// The shard with this number, whether or not the deployment has so many.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Returns the number, for formats and labels.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ShardId {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse().map(Self)
    }
}

/// The number of shards of a deployment: 1 to 64. Formats contain the number itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct ShardCount(NonZeroU32);

impl ShardCount {
    /// One shard, the default of a deployment.
    pub const ONE: Self = Self(NonZeroU32::MIN);
    /// The most shards that a deployment may have.
    pub const MAX: u32 = 64;

    /// So many shards. `None` for 0 and for more than [`Self::MAX`].
    pub const fn new(count: u32) -> Option<Self> {
        match NonZeroU32::new(count) {
            Some(count) if count.get() <= Self::MAX => Some(Self(count)),
            _ => None,
        }
    }

    /// Returns the number, for formats and labels.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// Every shard of the deployment, in order.
    pub fn ids(self) -> impl DoubleEndedIterator<Item = ShardId> + Clone {
        (0..self.get()).map(ShardId)
    }
}

impl fmt::Display for ShardCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<u32> for ShardCount {
    type Error = InvalidCount;

    fn try_from(count: u32) -> Result<Self, InvalidCount> {
        Self::new(count).ok_or(InvalidCount)
    }
}

impl From<ShardCount> for u32 {
    fn from(count: ShardCount) -> Self {
        count.get()
    }
}

/// The number is 0, or more than a deployment may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a deployment has 1 to {} shards", ShardCount::MAX)]
pub struct InvalidCount;

/// Returns the shard of an event: by its ordering value if the source declares one, or else by its id.
pub fn shard_of(id: EventId, order: Option<OrderValue<'_>>, shards: ShardCount) -> ShardId {
    let hash = match order {
        None => leading_u64(id.as_bytes()),
        Some(order) => {
            let mut hash = Sha256::new();
            hash.update(b"floodgate/order/v1/");
            for field in [order.tenant, order.source, order.value] {
                hash.update((field.len() as u64).to_be_bytes());
                hash.update(field);
            }
            leading_u64(&hash.finalize())
        }
    };
    // The remainder is less than a u32.
    ShardId((hash % u64::from(shards.get())) as u32)
}

/// The value that events of a source are ordered by, as the source's `order_by` pointer found it.
#[derive(Clone, Copy, Debug)]
pub struct OrderValue<'a> {
    /// The tenant of the source.
    pub tenant: &'a str,
    /// The name of the source.
    pub source: &'a str,
    /// The value in the event.
    pub value: &'a str,
}

fn leading_u64(bytes: &[u8]) -> u64 {
    let mut leading = [0; 8];
    leading.copy_from_slice(&bytes[..8]);
    u64::from_be_bytes(leading)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_hold_the_numbers_themselves() {
        let shards = ShardCount::new(3).unwrap();
        assert_eq!(serde_json::to_string(&(shards, ShardId::new(2))).unwrap(), "[3,2]");
        assert_eq!(
            serde_json::from_str::<(ShardCount, ShardId)>("[3,2]").unwrap(),
            (shards, ShardId::new(2))
        );
        assert_eq!(format!("{shards} {}", ShardId::new(2)), "3 2");
    }

    #[test]
    fn a_deployment_has_1_to_64_shards() {
        let count = serde_json::from_str::<ShardCount>;
        assert_eq!(count("64").unwrap().ids().last(), Some(ShardId::new(63)));
        for refused in ["0", "65"] {
            assert!(count(refused).unwrap_err().to_string().starts_with("a deployment has 1 to 64 shards"));
        }
    }
}
