//! The old name of [`crate::nats`], until the relay's tests have moved.

pub use crate::nats::{Cluster, leader};

impl Cluster {
    /// As [`crate::nats::Setup::start_cluster`].
    ///
    /// # Errors
    /// As there.
    pub fn start(size: usize, _extra: &str) -> crate::Result<Self> {
        crate::nats::Setup::default().start_cluster(size)
    }
}
