//! One attempt at a delivery, from the log to the journal.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use floodgate_event::proto::attempt::Outcome;
use floodgate_event::proto::{Attempt, Event, Record, record};
use floodgate_event::time::unix_micros;
use floodgate_event::{EventId, Name};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::courier::Courier;
use super::index::{DeliveryId, DeliveryIndex, Queued};
use super::journal::Journal;
use super::log::{Log, Missing};
use super::metrics::ForwardMetrics;
use super::outcome::{Answer, Judgement, judge};
use super::request::Delivery;
use crate::clock::Clock;
use crate::lease::Lease;

/// What all attempts of a shard share.
pub(super) struct Desk {
    pub(super) index: Arc<DeliveryIndex>,
    pub(super) journal: Journal,
    pub(super) log: Arc<Log>,
    pub(super) clock: Clock,
    pub(super) lease: Lease,
    pub(super) disable: mpsc::Sender<Name>,
    pub(super) metrics: ForwardMetrics,
    /// No attempt begins after this.
    pub(super) stop: CancellationToken,
}

/// An attempt that is over.
pub(super) struct Ended {
    pub(super) delivery: DeliveryId,
    /// How long to leave the destination alone.
    pub(super) hold: Option<Duration>,
}

impl Desk {
    /// Whether attempts may begin.
    pub(super) fn is_open(&self) -> bool {
        !self.stop.is_cancelled() && self.lease.is_held()
    }

    /// Makes the next attempt at a delivery, and returns once its outcome is on disk. If the process dies before that,
    /// the attempt is made again under the same number and the same `webhook-id`.
    pub(super) async fn attempt(&self, courier: &Courier, queued: Queued) -> Ended {
        let Queued { id, attempts } = queued;
        let nothing = Ended { delivery: id.clone(), hold: None };
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

        let judgement = judge(&answer, &courier.destination.retry, run.number, rand::random());
        self.count(&run.id.destination, &judgement, took);
        let attempt = run.record(&answer, &judgement, took, self.clock.now());
        let hold = judgement.hold;
        if self.journal.record(vec![attempt]).await.is_ok() {
            self.follow_up(&run, &event, &answer, &judgement);
        }
        Ended { delivery: run.id, hold }
    }

    fn count(&self, destination: &Name, judgement: &Judgement, took: Duration) {
        let outcome = match judgement.outcome {
            Outcome::Delivered => "delivered",
            Outcome::Ambiguous => "ambiguous",
            Outcome::Failed | Outcome::Unspecified => "failed",
        };
        self.metrics.attempts.with_label_values(&[destination.as_str(), outcome]).inc();
        self.metrics.duration.with_label_values(&[destination.as_str()]).observe(took.as_secs_f64());
    }

    fn follow_up(
        &self,
        run: &Run,
        event: &Result<Arc<Event>, Missing>,
        answer: &Answer,
        judgement: &Judgement,
    ) {
        if judgement.outcome == Outcome::Delivered {
            return;
        }
        let destination = run.id.destination.as_str();
        let event_id = event.as_ref().ok().and_then(|event| EventId::try_from(&*event.id).ok());
        if judgement.wait.is_some() {
            tracing::debug!(destination, ?event_id, number = run.number, ?answer, "attempt failed");
        } else {
            let (status, error) = (answer.status(), answer.error());
            tracing::warn!(destination, ?event_id, number = run.number, status, error, "delivery is dead");
        }
        if judgement.disable && self.disable.try_send(run.id.destination.clone()).is_err() {
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
