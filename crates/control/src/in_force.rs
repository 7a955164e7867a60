//! Waiting until a change is in force: every shard routes by it, and for a source every region serves it.

use std::time::Duration;

use floodgate_event::Name;
use futures::future::join_all;
use tokio::time::{Instant, sleep};

use super::Control;
use super::regions::Asker;

/// How long an answer to a change waits for it to be in force. After that the answer is 202, and the change
/// comes into force when it does.
const WAIT: Duration = Duration::from_secs(10);
/// The wait between two looks at a region.
const PAUSE: Duration = Duration::from_millis(100);

/// Where a change must have arrived to be in force.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// With the writers of all shards: a destination.
    Routing,
    /// There, and with every region's gateways: a source.
    Everywhere(&'a Name),
    /// With every region's gateways: which version of a handler runs.
    Handler(&'a Name),
}

impl Control {
    /// Waits until a revision is in force, at most [`WAIT`]. A region that is out of reach does not serve it.
    pub async fn in_force(&self, revision: u64, scope: Scope<'_>) -> bool {
        let deadline = Instant::now() + WAIT;
        let routed = self.0.routed.in_force(revision, deadline);
        match scope {
            Scope::Routing => routed.await,
            Scope::Everywhere(source) => {
                let sources = [source.clone()];
                let (routed, served) = tokio::join!(routed, self.served(revision, &sources, deadline));
                routed && served
            }
            Scope::Handler(handler) => {
                let configuration = self.configuration();
                let bound = configuration.bindings(handler).map(|(source, _)| source.clone());
                self.served(revision, &bound.collect::<Vec<_>>(), deadline).await
            }
        }
    }

    /// Waits until every region serves these sources as they are at this revision.
    async fn served(&self, revision: u64, sources: &[Name], deadline: Instant) -> bool {
        let regions = self.0.regions.iter();
        let served = join_all(regions.map(|region| served(region, revision, sources, deadline)));
        served.await.into_iter().all(|served| served)
    }

    /// Whether it is in force as far as is known without asking: for those who do not wait.
    pub fn is_known_in_force(&self, revision: u64, scope: Scope<'_>) -> bool {
        matches!(scope, Scope::Routing) && self.0.routed.is_in_force(revision)
    }
}

/// Waits until every gateway of a region serves these sources as they are at this revision.
async fn served(region: &Asker, revision: u64, sources: &[Name], deadline: Instant) -> bool {
    loop {
        let Some(reports) = region.reports().await else { return false };
        if reports.serving().is_some_and(|serving| serving >= revision) {
            return reports.serve_as_configured(sources);
        }
        if Instant::now() + PAUSE >= deadline {
            return false;
        }
        sleep(PAUSE).await;
    }
}
