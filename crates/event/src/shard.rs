//! Which shard an event belongs to. The number of shards is fixed for a deployment.

use sha2::{Digest, Sha256};

use crate::EventId;

/// The shard of an event: by its ordering value where the source declares one, else by its id.
///
/// `shards` is at least 1; 0 is treated as 1.
pub fn shard_of(id: EventId, order: Option<OrderValue<'_>>, shards: u32) -> u32 {
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
    (hash % u64::from(shards.max(1))) as u32
}

/// What events of a source are ordered by, as the source's `order_by` pointer found it.
#[derive(Clone, Copy, Debug)]
pub struct OrderValue<'a> {
    /// The source's tenant.
    pub tenant: &'a str,
    /// The source's name.
    pub source: &'a str,
    /// The value found in the event.
    pub value: &'a str,
}

fn leading_u64(bytes: &[u8]) -> u64 {
    let mut leading = [0; 8];
    leading.copy_from_slice(&bytes[..8]);
    u64::from_be_bytes(leading)
}
