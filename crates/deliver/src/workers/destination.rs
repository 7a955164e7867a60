//! Delivers to one destination: at most its concurrency at once, at most its rate per second, first attempts
//! and retries in turn.
//!
//! A worker follows its destination through changes of the routes. It delivers while the destination is
//! enabled, keeps deliveries up to a limit while it is held, and discards them once it is deleted.

use std::sync::Arc;
use std::time::Duration;

use floodgate_event::Name;
use floodgate_routes::{Destination, Routes};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::super::DispatchError;
use super::super::attempt::{self, Finished};
use super::super::context::Shard;
use super::super::discard::{self, Reason, Selection};
use super::super::index::{OpenDelivery, Queue};
use super::super::send::{ConsumerClient, Transport};
use super::changed;
use super::prefetch::DueDeliveries;
use super::throttle::{RateLimit, max_retries};

/// How long attempts that are in flight at shutdown may still take.
const DRAIN: Duration = Duration::from_secs(10);
/// How often to look again at deliveries that were matched by routes which this process does not have yet.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Works for one destination until it is deleted and none of its deliveries is open.
pub(super) struct Worker {
    name: Name,
    shard: Arc<Shard>,
    transport: Transport,
    routes: watch::Receiver<Arc<Routes>>,
    due: DueDeliveries,
    in_flight: JoinSet<(Queue, Finished)>,
    retries_in_flight: usize,
    /// No attempt begins before this: the consumer asked for it, or the rate limit does.
    not_before: Instant,
    /// Which destination of this name it works for, and by which of its settings; none before the first look.
    create_revision: Option<u64>,
    mod_revision: Option<u64>,
}

/// How to reach a destination by its current settings.
struct Endpoint {
    client: ConsumerClient,
    rate_limit: Option<RateLimit>,
}

impl Worker {
    pub(super) fn new(
        name: Name,
        shard: Arc<Shard>,
        transport: Transport,
        routes: watch::Receiver<Arc<Routes>>,
    ) -> Self {
        Self {
            due: DueDeliveries::new(Arc::clone(&shard.index), shard.clock.clone(), name.clone()),
            name,
            shard,
            transport,
            routes,
            in_flight: JoinSet::new(),
            retries_in_flight: 0,
            not_before: Instant::now(),
            create_revision: None,
            mod_revision: None,
        }
    }

    /// Runs until nothing is left to do, and returns the destination's name.
    pub(super) async fn run(mut self) -> Result<Name, DispatchError> {
        while !self.shard.stop.is_cancelled() {
            let routes = Arc::clone(&self.routes.borrow_and_update());
            match routes.destinations.get(&self.name) {
                Some(destination) => self.work_for(Arc::clone(destination)).await?,
                None if self.clear_deleted(routes.revision).await? => break,
                None => {}
            }
        }
        if timeout(DRAIN, self.finish_in_flight()).await.is_err() {
            tracing::warn!(destination = %self.name, "attempts were cut off at shutdown; they will be repeated");
        }
        Ok(self.name.clone())
    }

    /// Works until the destination changes, or no attempt may begin any more.
    async fn work_for(&mut self, destination: Arc<Destination>) -> Result<(), DispatchError> {
        if self.create_revision != Some(destination.create_revision) {
            // What is still open is for an earlier destination of this name. The current one must not get it.
            self.discard_before(destination.create_revision).await?;
            self.create_revision = Some(destination.create_revision);
        }
        if self.mod_revision != Some(destination.mod_revision) {
            // A delay that was asked for by the earlier settings does not bind the new ones.
            self.not_before = Instant::now();
            self.mod_revision = Some(destination.mod_revision);
        }
        match destination.hold_reason() {
            None => self.deliver(destination).await,
            Some(_) => self.hold(destination).await,
        }
    }

    /// Delivers until the destination changes, or no attempt may begin any more.
    async fn deliver(&mut self, destination: Arc<Destination>) -> Result<(), DispatchError> {
        let endpoint = Endpoint::new(&self.transport, Arc::clone(&destination))?;
        let wake = self.shard.index.wake(&self.name);
        let stop = self.shard.stop.clone();
        while !stop.is_cancelled() {
            self.due.refill().await?;
            self.start_attempts(&endpoint);
            self.report();
            tokio::select! {
                () = stop.cancelled() => {}
                () = wake.notified() => {}
                () = sleep(self.wait()) => {}
                Some(finished) = self.in_flight.join_next() => self.finish(finished?),
                () = changed(&mut self.routes) => if !self.is_still(&destination) { return Ok(()) },
            }
        }
        Ok(())
    }

    /// Keeps open deliveries, up to a limit, until the destination changes. Attempts in flight end as they
    /// may.
    async fn hold(&mut self, destination: Arc<Destination>) -> Result<(), DispatchError> {
        let wake = self.shard.index.wake(&self.name);
        let stop = self.shard.stop.clone();
        while !stop.is_cancelled() {
            let beyond = self.shard.index.backlog(&self.name).open.saturating_sub(self.shard.max_held);
            if beyond > 0 {
                self.discard(u64::MAX, beyond, Reason::Limit).await?;
            }
            self.report();
            tokio::select! {
                () = stop.cancelled() => {}
                () = wake.notified() => {}
                Some(finished) = self.in_flight.join_next() => self.finish(finished?),
                () = changed(&mut self.routes) => if !self.is_still(&destination) { return Ok(()) },
            }
        }
        Ok(())
    }

    fn is_still(&self, destination: &Arc<Destination>) -> bool {
        let routes = self.routes.borrow();
        routes.destinations.get(&self.name).is_some_and(|now| Arc::ptr_eq(now, destination))
    }

    /// Begins attempts while there is room and a delivery is due.
    fn start_attempts(&mut self, endpoint: &Endpoint) {
        let concurrency = usize::from(endpoint.client.destination.concurrency.get());
        // A delivery is in the index only after the routes that matched it were in force. So a delivery for
        // another destination than the one that is known here comes with a change that was not looked at yet.
        while self.in_flight.len() < concurrency
            && self.not_before <= Instant::now()
            && self.shard.may_attempt()
            && !self.routes.has_changed().unwrap_or(false)
        {
            let retries_may_start = self.retries_in_flight < max_retries(concurrency);
            if !self.due.has_ready(retries_may_start) || !self.is_within_rate(endpoint) {
                break;
            }
            if let Some((queue, delivery)) = self.due.take(retries_may_start) {
                self.start(endpoint, queue, delivery);
            }
        }
    }

    fn is_within_rate(&mut self, endpoint: &Endpoint) -> bool {
        let Some(wait) = endpoint.rate_limit.as_ref().and_then(RateLimit::wait) else {
            return true;
        };
        self.not_before = Instant::now() + wait;
        false
    }

    fn start(&mut self, endpoint: &Endpoint, queue: Queue, delivery: OpenDelivery) {
        self.retries_in_flight += usize::from(queue == Queue::Retry);
        let (shard, client) = (Arc::clone(&self.shard), endpoint.client.clone());
        // It was matched by earlier routes, and recorded after the open deliveries were looked through.
        let is_of_earlier = delivery.matched_by < client.destination.create_revision;
        self.in_flight.spawn(async move {
            let finished = if is_of_earlier {
                discard_one(&shard, &client.destination, delivery).await
            } else {
                attempt::make(&shard, &client, delivery).await
            };
            (queue, finished)
        });
    }

    fn finish(&mut self, (queue, finished): (Queue, Finished)) {
        self.retries_in_flight -= usize::from(queue == Queue::Retry);
        self.due.done(&finished.delivery);
        let is_current = self.mod_revision == Some(finished.mod_revision);
        if let Some(throttle) = finished.throttle.filter(|_| is_current) {
            self.not_before = self.not_before.max(Instant::now() + throttle);
        }
    }

    /// Returns how long nothing needs to be looked at, if nothing happens before.
    fn wait(&self) -> Duration {
        let now = Instant::now();
        let throttled = (self.not_before > now).then(|| self.not_before - now);
        throttled.map_or_else(|| self.due.wait(), |throttled| throttled.min(self.due.wait()))
    }

    /// Discards what the routes of this revision or earlier ones matched: by them, the destination does not
    /// exist. What later routes matched is for a destination that this process has yet to learn of. Returns
    /// true once nothing is left.
    async fn clear_deleted(&mut self, revision: u64) -> Result<bool, DispatchError> {
        (self.create_revision, self.mod_revision) = (None, None);
        self.discard_before(revision.saturating_add(1)).await?;
        if self.in_flight.is_empty() && self.shard.index.backlog(&self.name).open == 0 {
            return Ok(true);
        }
        self.report();
        let stop = self.shard.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(LOOK_AGAIN) => {}
            Some(finished) = self.in_flight.join_next() => self.finish(finished?),
            () = changed(&mut self.routes) => {}
        }
        Ok(false)
    }

    /// Destinations of an earlier release's configuration have revision 0, and none was before them.
    async fn discard_before(&mut self, revision: u64) -> Result<(), DispatchError> {
        if revision == 0 {
            return Ok(());
        }
        self.discard(revision, u64::MAX, Reason::Removed).await
    }

    async fn discard(
        &mut self,
        matched_before: u64,
        limit: u64,
        reason: Reason,
    ) -> Result<(), DispatchError> {
        let in_flight = &self.due.rewind();
        let selection = Selection { matched_before, limit, in_flight, reason };
        discard::selected(&self.shard, &self.name, selection).await
    }

    async fn finish_in_flight(&mut self) {
        while let Some(finished) = self.in_flight.join_next().await {
            match finished {
                Ok(finished) => self.finish(finished),
                Err(error) => tracing::error!(destination = %self.name, %error, "an attempt broke down"),
            }
        }
    }

    fn report(&self) {
        let backlog = self.shard.index.backlog(&self.name);
        self.shard.metrics.backlogs.set(&self.name, self.shard.number, backlog);
    }
}

/// From now on, another relay may work for the destination and report its backlog.
impl Drop for Worker {
    fn drop(&mut self) {
        self.shard.metrics.backlogs.leave(&self.name, self.shard.number);
    }
}

impl Endpoint {
    fn new(transport: &Transport, destination: Arc<Destination>) -> Result<Self, DispatchError> {
        let rate_limit = destination.rate_per_second.map(RateLimit::per_second);
        Ok(Self { client: transport.client(destination)?, rate_limit })
    }
}

/// Discards a delivery that was matched for an earlier destination of the same name.
async fn discard_one(shard: &Shard, destination: &Destination, delivery: OpenDelivery) -> Finished {
    discard::each(shard, &destination.name, &[&delivery], Reason::Removed).await;
    Finished { delivery: delivery.id, throttle: None, mod_revision: destination.mod_revision }
}
