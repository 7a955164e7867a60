//! The connection to a region, as everything that works with several regions takes it.

use async_nats::jetstream::Context;
use floodgate_event::Name;

/// A region and the connection to it.
#[derive(Clone)]
pub struct RegionConnection {
    /// The name that the configuration gives the region, as the API shows it.
    pub name: Name,
    /// The JetStream of the region's nats-servers.
    pub context: Context,
}
