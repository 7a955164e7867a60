//! Makes one attempt at a delivery: reads the event from the log, sends it, decides what the answer means and
//! records the outcome in the journal.
//!
//! If the process dies before the outcome is on disk, the attempt is made again under the same number and
//! the same `webhook-id`.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use floodgate_event::proto::attempt::Outcome;
use floodgate_event::proto::{Attempt, Event, Record, record};
use floodgate_event::time::unix_micros;
use floodgate_event::{EventId, Name};
use floodgate_routes::Gone;

use super::context::Shard;
use super::events::Missing;
use super::index::{DeliveryId, OpenDelivery};
use super::metrics::DeliveryMetrics;
use super::outcome::{Answer, Judgement, judge};
use super::send::ConsumerClient;
use super::webhook::SignedRequest;

/// An attempt that is over, whether it was made or not.
pub(super) struct Finished {
    pub(super) delivery: DeliveryId,
    /// How long no further attempt may begin for the destination.
    pub(super) throttle: Option<Duration>,
    /// The [`mod_revision`](floodgate_routes::Destination::mod_revision) of the settings that it was made by.
    pub(super) mod_revision: u64,
}

/// Makes the next attempt at a delivery, and returns once its outcome is on disk.
pub(super) async fn make(shard: &Shard, client: &ConsumerClient, delivery: OpenDelivery) -> Finished {
    let OpenDelivery { id, attempts, .. } = delivery;
    let destination = &client.destination;
    let mod_revision = destination.mod_revision;
    let not_made = Finished { delivery: id.clone(), throttle: None, mod_revision };
    let event = tokio::select! {
        () = shard.stop.cancelled() => return not_made,
        event = shard.log.event(id.log_sequence, id.index) => event,
    };
    if !shard.may_attempt() {
        return not_made;
    }
    let (number, started) = (attempts + 1, shard.clock.now());
    let begun = Instant::now();
    let answer = send(client, &event, number, started).await;
    let took = begun.elapsed();

    // Read once: the judgement, its record and what follows must be about the same moment.
    let is_current = shard.is_current(destination);
    let judgement = judge(&answer, is_current, &destination.retry, number, rand::random());
    let event_id = event.ok().and_then(|event| EventId::try_from(&*event.id).ok());
    let made = Made { id, number, started, took, event_id, answer, judgement };
    made.count(&shard.metrics);
    let record = made.record(shard.clock.now());
    if shard.journal.record(vec![record]).await.is_ok() {
        made.log_failure(client);
        made.disable_if_gone(shard, mod_revision);
    }
    Finished { delivery: made.id, throttle: made.judgement.throttle, mod_revision }
}

async fn send(
    client: &ConsumerClient,
    event: &Result<Arc<Event>, Missing>,
    number: u32,
    now: SystemTime,
) -> Answer {
    let event = match event {
        Ok(event) => event,
        Err(missing) => return Answer::Undeliverable(missing.as_str()),
    };
    match SignedRequest::new(event, &client.destination, number, now) {
        Some(request) => client.post(request).await,
        None => Answer::Undeliverable("the event has no body to deliver"),
    }
}

/// An attempt that was made, and what it led to.
struct Made {
    id: DeliveryId,
    /// 1 for a delivery's first attempt.
    number: u32,
    started: SystemTime,
    took: Duration,
    /// Absent if the event could not be read.
    event_id: Option<EventId>,
    answer: Answer,
    judgement: Judgement,
}

impl Made {
    fn destination(&self) -> &Name {
        &self.id.destination
    }

    fn count(&self, metrics: &DeliveryMetrics) {
        let outcome = match self.judgement.outcome {
            Outcome::Delivered => "delivered",
            Outcome::Ambiguous => "ambiguous",
            Outcome::Failed | Outcome::Unspecified => "failed",
        };
        let destination = self.destination().as_str();
        metrics.attempts.with_label_values(&[destination, outcome]).inc();
        metrics.duration.with_label_values(&[destination]).observe(self.took.as_secs_f64());
        if self.judgement.is_dead() {
            metrics.dead.with_label_values(&[destination]).inc();
        }
    }

    fn record(&self, now: SystemTime) -> Record {
        let next = self.judgement.retry_in.map(|wait| unix_micros(now + wait));
        let attempt = Attempt {
            delivery: Some(self.id.to_proto()),
            number: self.number,
            started_at_us: unix_micros(self.started),
            duration_ms: u32::try_from(self.took.as_millis()).unwrap_or(u32::MAX),
            outcome: self.judgement.outcome.into(),
            status: self.answer.status(),
            error: self.answer.error().to_owned(),
            response: self.answer.body().to_vec(),
            next_attempt_at_us: next.unwrap_or(0),
        };
        Record { record: Some(record::Record::Attempt(attempt)) }
    }

    fn log_failure(&self, client: &ConsumerClient) {
        if self.judgement.outcome == Outcome::Delivered {
            return;
        }
        let (destination, number) = (self.destination().as_str(), self.number);
        // Fields without a value are left out of the line.
        let event_id = self.event_id.as_ref().map(tracing::field::display);
        let status = Some(self.answer.status()).filter(|&status| status != 0);
        let error = Some(self.answer.error()).filter(|error| !error.is_empty());
        if self.judgement.is_dead() {
            // A whole backlog may die at once. The index lists each dead delivery anyway.
            if let Some(left_out) = client.dead_lines.admit() {
                tracing::warn!(destination, event_id, number, status, error, left_out, "delivery is dead");
            }
        } else {
            tracing::debug!(destination, event_id, number, status, error, "attempt failed");
        }
    }

    fn disable_if_gone(&self, shard: &Shard, mod_revision: u64) {
        let gone = || Gone { destination: self.destination().clone(), mod_revision };
        if self.judgement.disable && shard.disable.try_send(gone()).is_err() {
            let destination = self.destination().as_str();
            tracing::warn!(destination, "cannot be disabled now: the next answer of 410 asks again");
        }
    }
}
