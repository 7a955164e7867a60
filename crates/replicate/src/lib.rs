//! Replication: regional blocks become blocks of the central log, each event once, in the order of its
//! region.
//!
//! [`feed`] reads a lane of a region, [`dedup`] decides what is new, and [`writer`] appends it. [`books`]
//! balances what regions accepted with what became of it, and [`lookup`] finds an event by its id.

pub mod books;
pub mod cursors;
pub mod dedup;
pub mod feed;
pub mod forget;
pub mod lookup;
pub mod metrics;
pub mod progress;
pub mod purge;
pub mod set_aside;
pub mod stage;
pub mod takeover;
pub mod writer;
