//! Runs one worker for each destination that is configured or that still has open deliveries.
//!
//! Workers share nothing but the shard's index and journal, so a destination that is slow or down delays no
//! other. All that they keep in memory can be read from the index again: after a crash, a new worker starts
//! where the journal ends.

mod destination;
mod prefetch;
mod throttle;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use floodgate_event::Name;
use floodgate_routes::Routes;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use self::destination::Worker;
use super::DispatchError;
use super::context::Shard;
use super::send::Transport;

/// How often to look for destinations without a worker that have open deliveries: a lane may have matched
/// events by routes that changed a moment later.
const SWEEP: Duration = Duration::from_secs(1);

/// Runs workers until the shard stops, and then waits for them.
pub(super) async fn run(
    shard: Arc<Shard>,
    transport: Transport,
    mut routes: watch::Receiver<Arc<Routes>>,
) -> Result<(), DispatchError> {
    let mut workers = JoinSet::new();
    let mut names = HashSet::new();
    while !shard.stop.is_cancelled() {
        let current = Arc::clone(&routes.borrow_and_update());
        shard.metrics.held.set(&current);
        for name in needing_a_worker(&current, &shard) {
            if names.insert(name.clone()) {
                let worker = Worker::new(name, Arc::clone(&shard), transport.clone(), routes.clone());
                workers.spawn(worker.run());
            }
        }
        tokio::select! {
            () = shard.stop.cancelled() => {}
            () = changed(&mut routes) => {}
            () = sleep(SWEEP) => {}
            Some(ended) = workers.join_next() => {
                names.remove(&ended??);
            }
        }
    }
    shard.metrics.held.clear();
    while let Some(ended) = workers.join_next().await {
        ended??;
    }
    Ok(())
}

fn needing_a_worker(routes: &Routes, shard: &Shard) -> BTreeSet<Name> {
    let mut names: BTreeSet<Name> = routes.destinations.keys().cloned().collect();
    names.extend(shard.index.open_destinations());
    names
}

/// Waits for a change. Waits forever if no change can come any more.
async fn changed<T>(receiver: &mut watch::Receiver<T>) {
    if receiver.changed().await.is_err() {
        std::future::pending().await
    }
}
