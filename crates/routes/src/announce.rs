//! Announces the revision that a shard's events are matched by, so that the API can confirm a change once all
//! shards use it. An announcement is stored, so it survives a crash of the writer that made it.

use floodgate_stream::lease::Lease;

/// Another writer of the shard has announced a revision, so this one's term is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Superseded;

/// How the writer of a shard announces the revision that it matches events by. `control` implements it.
pub trait Announce: Clone + Send + Sync + 'static {
    /// Waits until this process has at least the revision that was confirmed before, and announces its own.
    /// `epoch` is the sequence of the writer's fence in the journal. Nothing may be matched before this
    /// returns.
    ///
    /// # Errors
    /// If another writer has announced a revision since, or the lease is lost.
    fn claim(&mut self, epoch: u64, lease: &Lease) -> impl Future<Output = Result<(), Superseded>> + Send;

    /// Announces each later revision as soon as events are matched by it, until the lease is lost or another
    /// writer announces one.
    fn follow(self, epoch: u64, lease: Lease) -> impl Future<Output = ()> + Send + 'static;
}
