//! Converts what the index stores into the documents that the API shows.

use floodgate_api::event::{Attempt, AttemptOutcome, Delivery, DeliveryState};
use floodgate_api::time::rfc3339;
use floodgate_event::proto;
use floodgate_event::proto::attempt::Outcome;

use super::key::DeliveryId;
use super::values::{DeliveryRow, Phase};

pub(super) fn delivery(id: &DeliveryId, row: &DeliveryRow, attempts: Vec<Attempt>) -> Delivery {
    Delivery {
        destination: id.destination.to_string(),
        generation: id.generation,
        state: state(row.phase()),
        attempts,
        next_attempt_at: (row.due_us > 0).then(|| rfc3339(row.due_us)),
        reason: (!row.reason.is_empty()).then(|| row.reason.clone()),
    }
}

pub(super) fn attempt(attempt: proto::Attempt) -> Attempt {
    let response =
        (!attempt.response.is_empty()).then(|| String::from_utf8_lossy(&attempt.response).into_owned());
    Attempt {
        number: attempt.number,
        started_at: rfc3339(attempt.started_at_us),
        duration_ms: attempt.duration_ms,
        outcome: outcome(attempt.outcome()),
        status: (attempt.status != 0).then_some(attempt.status),
        error: (!attempt.error.is_empty()).then_some(attempt.error),
        response,
    }
}

fn state(phase: Phase) -> DeliveryState {
    match phase {
        Phase::Pending => DeliveryState::Pending,
        Phase::Delivered => DeliveryState::Delivered,
        Phase::Dead => DeliveryState::Dead,
        Phase::Discarded => DeliveryState::Discarded,
    }
}

fn outcome(outcome: Outcome) -> AttemptOutcome {
    match outcome {
        Outcome::Delivered => AttemptOutcome::Delivered,
        Outcome::Ambiguous => AttemptOutcome::Ambiguous,
        Outcome::Failed | Outcome::Unspecified => AttemptOutcome::Failed,
    }
}
