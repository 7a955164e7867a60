//! One attempt at a delivery, from the log to the journal.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use floodgate_clock::Clock;
use floodgate_event::proto::attempt::Outcome;
use floodgate_event::proto::{Attempt, Event, Record, record};
use floodgate_event::time::unix_micros;
use floodgate_event::{EventId, Name};
use floodgate_routes::{Destination, Gone, Routes};
use floodgate_stream::lease::Lease;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::courier::Courier;
use super::discard::{self, Why};
use super::index::{DeliveryId, DeliveryIndex, Queued};
use super::journal::Journal;
use super::log::{Log, Missing};
use super::metrics::ForwardMetrics;
use super::outcome::{Answer, Judgement, judge};
use super::request::Delivery;

/// What all attempts of a shard share.
pub(super) struct Desk {
    pub(super) index: Arc<DeliveryIndex>,
    pub(super) journal: Journal,
    pub(super) log: Arc<Log>,
    pub(super) clock: Clock,
    pub(super) lease: Lease,
    pub(super) shard: u32,
    /// The most deliveries that are held for a destination.
    pub(super) max_held: u64,
    pub(super) routes: watch::Receiver<Arc<Routes>>,
    pub(super) disable: mpsc::Sender<Gone>,
    pub(super) metrics: ForwardMetrics,
    /// No attempt begins after this.
    pub(super) stop: CancellationToken,
}

/// An attempt that is over.
pub(super) struct Ended {
    pub(super) delivery: DeliveryId,
    /// How long to leave the destination alone.
    pub(super) hold: Option<Duration>,
    /// [`Destination::put`] of the settings that it was made by.
    pub(super) put: u64,
}

impl Desk {
    /// Whether attempts may begin.
    pub(super) fn is_open(&self) -> bool {
        !self.stop.is_cancelled() && self.lease.is_held()
    }

    /// Makes the next attempt at a delivery, and returns once its outcome is on disk. If the process dies
    /// before that, the attempt is made again under the same number and the same `webhook-id`.
    pub(super) async fn attempt(&self, courier: &Courier, queued: Queued) -> Ended {
        let Queued { id, attempts, .. } = queued;
        let put = courier.destination.put;
        let nothing = Ended { delivery: id.clone(), hold: None, put };
        let event = tokio::select! {
            () = self.stop.cancelled() => return nothing,
            event = self.log.event(id.log_sequence, id.index) => event,
        };
        if !self.is_open() {
            return nothing;
        }
        let run = Run { id, number: attempts + 1, started: self.clock.now() };
        let begun = Instant::now();
        let answer = send(courier, &event, &run).await;
        let took = begun.elapsed();

        // Read once: the judgement, its record and what follows must be about the same moment.
        let is_current = self.is_current(&courier.destination);
        let retry = &courier.destination.retry;
        let judgement = judge(&answer, is_current, retry, run.number, rand::random());
        self.count(&run.id.destination, &judgement, took);
        let attempt = run.record(&answer, &judgement, took, self.clock.now());
        let hold = judgement.hold;
        if self.journal.record(vec![attempt]).await.is_ok() {
            self.follow_up(&run, courier, &event, &answer, &judgement);
        }
        Ended { delivery: run.id, hold, put }
    }

    /// Gives a delivery up that was meant for another destination of the same name.
    pub(super) async fn discard(&self, courier: &Courier, queued: Queued) -> Ended {
        let destination = &courier.destination;
        discard::these(self, &destination.name, &[&queued], Why::Removed).await;
        Ended { delivery: queued.id, hold: None, put: destination.put }
    }

    /// Whether the destination is still as it was when an attempt began.
    fn is_current(&self, attempted: &Destination) -> bool {
        let routes = self.routes.borrow();
        routes.destinations.get(&attempted.name).is_some_and(|now| now.put == attempted.put)
    }

    fn count(&self, destination: &Name, judgement: &Judgement, took: Duration) {
        let outcome = match judgement.outcome {
            Outcome::Delivered => "delivered",
            Outcome::Ambiguous => "ambiguous",
            Outcome::Failed | Outcome::Unspecified => "failed",
        };
        self.metrics.attempts.with_label_values(&[destination.as_str(), outcome]).inc();
        self.metrics.duration.with_label_values(&[destination.as_str()]).observe(took.as_secs_f64());
        if judgement.is_dead() {
            self.metrics.dead.with_label_values(&[destination.as_str()]).inc();
        }
    }

    fn follow_up(
        &self,
        run: &Run,
        courier: &Courier,
        event: &Result<Arc<Event>, Missing>,
        answer: &Answer,
        judgement: &Judgement,
    ) {
        if judgement.outcome == Outcome::Delivered {
            return;
        }
        let destination = run.id.destination.as_str();
        // Fields that there is nothing to say of are left out.
        let event_id = event.as_ref().ok().and_then(|event| EventId::try_from(&*event.id).ok());
        let (event_id, number) = (event_id.map(tracing::field::display), run.number);
        let status = Some(answer.status()).filter(|&status| status != 0);
        let error = Some(answer.error()).filter(|error| !error.is_empty());
        if judgement.is_dead() {
            // All of a backlog may die at once; each stands among the dead letters.
            if let Some(left_out) = courier.deaths.admit() {
                tracing::warn!(destination, event_id, number, status, error, left_out, "delivery is dead");
            }
        } else {
            tracing::debug!(destination, event_id, number, status, error, "attempt failed");
        }
        let gone = || Gone { destination: run.id.destination.clone(), put: courier.destination.put };
        if judgement.disable && self.disable.try_send(gone()).is_err() {
            tracing::warn!(destination, "cannot be disabled now: the next answer of 410 asks again");
        }
    }
}

async fn send(courier: &Courier, event: &Result<Arc<Event>, Missing>, run: &Run) -> Answer {
    let event = match event {
        Ok(event) => event,
        Err(missing) => return Answer::Impossible(missing.as_str()),
    };
    match Delivery::new(event, &courier.destination, run.number, run.started) {
        Some(delivery) => courier.post(delivery).await,
        None => Answer::Impossible("the event has no body to deliver"),
    }
}

/// Which attempt it is.
struct Run {
    id: DeliveryId,
    number: u32,
    started: SystemTime,
}

impl Run {
    fn record(&self, answer: &Answer, judgement: &Judgement, took: Duration, now: SystemTime) -> Record {
        let next = judgement.wait.map(|wait| unix_micros(now + wait));
        let attempt = Attempt {
            delivery: Some(self.id.to_proto()),
            number: self.number,
            started_at_us: unix_micros(self.started),
            duration_ms: u32::try_from(took.as_millis()).unwrap_or(u32::MAX),
            outcome: judgement.outcome.into(),
            status: answer.status(),
            error: answer.error().to_owned(),
            response: answer.response().to_vec(),
            next_attempt_at_us: next.unwrap_or(0),
        };
        Record { record: Some(record::Record::Attempt(attempt)) }
    }
}

impl Answer {
    /// 0 where there was none.
    fn status(&self) -> u32 {
        match self {
            Self::Status { status, .. } => status.as_u16().into(),
            Self::None { .. } | Self::Impossible(_) => 0,
        }
    }

    fn error(&self) -> &str {
        match self {
            Self::Status { .. } => "",
            Self::None { error, .. } => error,
            Self::Impossible(reason) => reason,
        }
    }

    fn response(&self) -> &[u8] {
        match self {
            Self::Status { response, .. } => response,
            Self::None { .. } | Self::Impossible(_) => &[],
        }
    }
}
