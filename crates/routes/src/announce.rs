//! Saying by which revision a shard's events are matched, so that a change can be confirmed once all shards
//! use it.

use floodgate_stream::lease::Lease;

/// Another writer of the shard spoke since: this one's term is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Superseded;

/// How the writer of a shard says which revision it matches events by. The control plane implements it.
pub trait Announce: Clone + Send + Sync + 'static {
    /// Waits until this process routes by no less than what was confirmed before, and says so. `epoch` is the
    /// sequence of the writer's fence in the journal. Nothing may be matched before it returns.
    ///
    /// # Errors
    /// If another writer has spoken since, or the lease is lost.
    fn claim(&mut self, epoch: u64, lease: &Lease) -> impl Future<Output = Result<(), Superseded>> + Send;

    /// Says each later revision as soon as events are matched by it, while the lease is held and until
    /// another writer speaks.
    fn follow(self, epoch: u64, lease: Lease) -> impl Future<Output = ()> + Send + 'static;
}
