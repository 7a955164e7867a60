//! Replication: regional blocks become central log blocks, each exactly once, in the order of their region.

pub(crate) mod cursors;
pub mod feed;
pub mod forget;
pub mod purge;
pub mod set_aside;
pub mod stage;
pub mod takeover;
pub mod warmth;
pub mod writer;
