//! A worker for each destination that is configured, or that still has open deliveries.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use floodgate_event::Name;
use floodgate_routes::Routes;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::ForwardError;
use super::attempt::Desk;
use super::courier::Dispatch;
use super::worker::{Worker, changed};

/// How often to look for open deliveries of destinations that nobody works for:
/// a lane's reader may have matched events by routes that changed a moment later.
const SWEEP: Duration = Duration::from_secs(1);

/// Keeps workers going until the desk closes, then waits for them.
pub(super) async fn run(
    desk: Arc<Desk>,
    dispatch: Dispatch,
    mut routes: watch::Receiver<Arc<Routes>>,
) -> Result<(), ForwardError> {
    let mut workers = JoinSet::new();
    let mut names = HashSet::new();
    while !desk.stop.is_cancelled() {
        let current = Arc::clone(&routes.borrow_and_update());
        desk.metrics.held.set(&current);
        for name in wanted(&current, &desk) {
            if names.insert(name.clone()) {
                let worker = Worker::new(name, Arc::clone(&desk), dispatch.clone(), routes.clone());
                workers.spawn(worker.run());
            }
        }
        tokio::select! {
            () = desk.stop.cancelled() => {}
            () = changed(&mut routes) => {}
            () = sleep(SWEEP) => {}
            Some(ended) = workers.join_next() => {
                names.remove(&ended??);
            }
        }
    }
    desk.metrics.held.clear();
    while let Some(ended) = workers.join_next().await {
        ended??;
    }
    Ok(())
}

fn wanted(routes: &Routes, desk: &Desk) -> BTreeSet<Name> {
    let mut names: BTreeSet<Name> = routes.destinations.keys().cloned().collect();
    names.extend(desk.index.open_destinations());
    names
}
