//! Waits until a change has propagated: every shard routes by it and, for a source or a handler, every
//! region's gateways serve it. The admin API then answers that the change is in force.

use std::time::Duration;

use floodgate_event::Name;
use futures::future::join_all;
use tokio::time::{Instant, sleep};

use super::Control;
use super::regions::RegionProbe;

/// How long an answer to a change waits for its propagation. After that the answer is 202, and the change
/// propagates when it can.
const WAIT: Duration = Duration::from_secs(10);
/// The wait between two looks at a region.
const PAUSE: Duration = Duration::from_millis(100);

/// Where a change must have arrived.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// The writers of all shards. For a destination.
    Routing,
    /// The writers of all shards and every region's gateways. For this source.
    Everywhere(&'a Name),
    /// Every region's gateways. For the version that this handler runs.
    Handler(&'a Name),
}

impl Control {
    /// Waits until a revision has propagated, at most 10 s. Returns false if it has not by then, or if a
    /// region that must serve it is out of reach.
    pub async fn wait_until_propagated(&self, revision: u64, scope: Scope<'_>) -> bool {
        let deadline = Instant::now() + WAIT;
        let routed = self.0.routed.wait_until_reached(revision, deadline);
        match scope {
            Scope::Routing => routed.await,
            Scope::Everywhere(source) => {
                let sources = [source.clone()];
                let (routed, served) =
                    tokio::join!(routed, self.wait_until_served(revision, &sources, deadline));
                routed && served
            }
            Scope::Handler(handler) => {
                let configuration = self.configuration();
                let bound = configuration.bindings(handler).map(|(source, _)| source.clone());
                self.wait_until_served(revision, &bound.collect::<Vec<_>>(), deadline).await
            }
        }
    }

    /// Returns true if a revision is already known to have propagated. Asks nobody, so that it never knows
    /// about gateways.
    pub fn is_known_propagated(&self, revision: u64, scope: Scope<'_>) -> bool {
        matches!(scope, Scope::Routing) && self.0.routed.have_reached(revision)
    }

    /// Waits until every region serves these sources as they are at this revision.
    async fn wait_until_served(&self, revision: u64, sources: &[Name], deadline: Instant) -> bool {
        let regions = self.0.regions.iter();
        let served = join_all(regions.map(|region| wait_until_served(region, revision, sources, deadline)));
        served.await.into_iter().all(|served| served)
    }
}

/// Waits until every gateway of a region serves these sources as they are at this revision.
async fn wait_until_served(region: &RegionProbe, revision: u64, sources: &[Name], deadline: Instant) -> bool {
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
