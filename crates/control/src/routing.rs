//! Routing by a revision, from the configuration to the confirmation.
//!
//! [`Router`] makes routes of a configuration. Once they are in use, each shard's [`Announcer`] records the
//! revision in the centre's control bucket, and [`RoutedRevisions`] follows these records. Any relay can
//! therefore wait until every shard routes by a change, whichever relays write them. A record is durable
//! before the change is confirmed to anybody, and the next writer of the shard never starts behind it.

mod announce;
#[cfg(test)]
mod model;
mod record;
mod router;
mod watch;

pub use announce::Announcer;
pub use record::RoutedRevision;
pub(crate) use router::Router;
pub(crate) use watch::RoutedRevisions;
