//! What an answer, or its absence, means for a delivery.

use std::time::{Duration, SystemTime};

use floodgate_event::proto::attempt::Outcome;
use floodgate_event::schedule::RetrySchedule;
use http::{HeaderMap, StatusCode, header};

/// The longest that one answer holds back all of its destination's attempts.
const MAX_HOLD: Duration = Duration::from_secs(60);

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The consumer answered.
    Status {
        status: StatusCode,
        /// Start of the body.
        response: Vec<u8>,
        /// From the answer's `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// It did not.
    None {
        /// Whether the request may have reached it.
        sent: bool,
        /// Why, in words.
        error: String,
    },
    /// The event cannot be delivered by any attempt.
    Impossible(&'static str),
}

/// What follows from it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Judgement {
    pub(crate) outcome: Outcome,
    /// Until the next attempt; none if there is none.
    pub(crate) wait: Option<Duration>,
    /// The consumer wants no more deliveries at all.
    pub(crate) disable: bool,
    /// How long to leave the destination alone.
    pub(crate) hold: Option<Duration>,
}

impl Judgement {
    /// Whether the delivery is given up.
    pub(crate) fn is_dead(&self) -> bool {
        self.outcome != Outcome::Delivered && self.wait.is_none()
    }
}

/// Judges attempt `number` (from 1). `spread` in 0..1 places the next one within the schedule's jitter.
/// `is_current` says whether the destination is still the one that was attempted:
/// if it is not, an answer of 410 is about what it was before, and the delivery goes to what it is now.
pub(crate) fn judge(
    answer: &Answer,
    is_current: bool,
    schedule: &RetrySchedule,
    number: u32,
    spread: f64,
) -> Judgement {
    let end = |outcome| Judgement { outcome, wait: None, disable: false, hold: None };
    let again =
        |outcome, asked| Judgement { wait: schedule.wait_after(number, spread, asked), ..end(outcome) };
    match answer {
        Answer::Status { status, .. } if status.is_success() => end(Outcome::Delivered),
        // Held back until the destination is disabled.
        Answer::Status { status: StatusCode::GONE, .. } if is_current => {
            Judgement { disable: true, hold: Some(MAX_HOLD), ..end(Outcome::Failed) }
        }
        Answer::Status { status, retry_after, .. } if throttles(*status) => {
            let hold = retry_after.map(|asked| asked.min(MAX_HOLD));
            Judgement { hold, ..again(Outcome::Failed, *retry_after) }
        }
        Answer::Status { .. } | Answer::None { sent: false, .. } => again(Outcome::Failed, None),
        Answer::None { sent: true, .. } => again(Outcome::Ambiguous, None),
        Answer::Impossible(_) => end(Outcome::Failed),
    }
}

/// Whether the consumer says that it is too busy, rather than that it does not want this event.
fn throttles(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// `Retry-After` (RFC 9110 §10.2.3): seconds, or a date. A date in the past asks for nothing.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, retry_after: Option<u64>) -> Answer {
        Answer::Status {
            status: StatusCode::from_u16(code).unwrap(),
            response: Vec::new(),
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    fn after_first(answer: &Answer) -> Judgement {
        judge(answer, true, &RetrySchedule::try_from(vec![10]).unwrap(), 1, 0.5)
    }

    #[test]
    fn success_and_gone_are_final() {
        assert_eq!(after_first(&status(204, None)).outcome, Outcome::Delivered);
        let gone = after_first(&status(410, None));
        assert_eq!((gone.outcome, gone.wait, gone.disable), (Outcome::Failed, None, true));
    }

    #[test]
    fn gone_says_nothing_of_a_destination_that_was_put_since() {
        let schedule = RetrySchedule::try_from(vec![10]).unwrap();
        let late = judge(&status(410, None), false, &schedule, 1, 0.5);
        assert_eq!((late.disable, late.hold, late.is_dead()), (false, None, false));
        assert_eq!(late.wait, Some(Duration::from_secs(10)));
    }

    #[test]
    fn redirects_and_refusals_are_tried_again() {
        for code in [301, 307, 400, 404, 500] {
            let judgement = after_first(&status(code, Some(99)));
            assert_eq!(
                (judgement.outcome, judgement.wait),
                (Outcome::Failed, Some(Duration::from_secs(10))),
                "{code}"
            );
        }
    }

    #[test]
    fn a_busy_consumer_is_left_alone_for_as_long_as_it_asks() {
        for code in [429, 502, 503, 504] {
            let judgement = after_first(&status(code, Some(99)));
            assert_eq!(judgement.wait, Some(Duration::from_secs(99)), "{code}");
            assert_eq!(judgement.hold, Some(MAX_HOLD));
        }
    }

    #[test]
    fn what_may_have_arrived_is_ambiguous() {
        let none = |sent| Answer::None { sent, error: String::new() };
        assert_eq!(after_first(&none(true)).outcome, Outcome::Ambiguous);
        assert_eq!(after_first(&none(false)).outcome, Outcome::Failed);
    }

    #[test]
    fn the_last_attempt_has_no_next() {
        let schedule = RetrySchedule::try_from(vec![10]).unwrap();
        assert_eq!(judge(&status(500, None), true, &schedule, 2, 0.5).wait, None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let parse = |text: &'static str| {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, text.parse().unwrap())]);
            retry_after(&headers, now)
        };
        assert_eq!(parse(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(parse("Sun, 09 Sep 2001 01:47:00 GMT"), Some(Duration::from_secs(20)));
        for bad in ["Sun, 09 Sep 2001 01:40:00 GMT", "-1", "soon", ""] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
