//! Replication: regional blocks become blocks of the central log, each event once, in the order of its
//! region.
//!
//! [`region_reader`] reads one lane of one region, [`dedup`] decides what is new, and [`writer`] appends it
//! to the shard's [`log`]. [`replicator`] runs all of that for one shard while this process holds its lease.
//! [`rejects`] copies the record of refused requests.
//! [`books`] compare what regions accepted with what became of it, and [`lookup`] finds an event by its id.

pub mod books;
pub mod cursor;
pub mod cursors;
pub mod dedup;
pub mod forget;
pub mod incarnation;
pub mod log;
pub mod lookup;
pub mod metrics;
pub mod progress;
pub mod purge;
pub mod region_reader;
pub mod rejects;
pub mod replicator;
pub mod room;
pub mod set_aside;
pub mod stage;
pub mod writer;
