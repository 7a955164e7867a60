//! Decides what a consumer's answer, or its absence, means for a delivery: whether the delivery is done, when
//! it is tried again, and whether the destination is left alone for a while or disabled.
//!
//! This is pure: the attempt records the result in the journal.

use std::time::{Duration, SystemTime};

use floodgate_event::proto::attempt::Outcome;
use floodgate_event::schedule::RetrySchedule;
use http::{HeaderMap, StatusCode, header};

/// The longest that one answer may delay all further attempts for its destination.
const MAX_THROTTLE: Duration = Duration::from_secs(60);

/// What came back from the consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The consumer answered, with any status.
    Response {
        status: StatusCode,
        /// The start of the body.
        body: Vec<u8>,
        /// From the answer's `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// The consumer did not answer.
    NoResponse {
        /// Whether the request may have reached the consumer.
        sent: bool,
        /// Why there is no response, for people to read.
        error: String,
    },
    /// No attempt can deliver the event, for this reason.
    Undeliverable(&'static str),
}

impl Answer {
    /// The response's status, or 0 without a response.
    pub(crate) fn status(&self) -> u32 {
        match self {
            Self::Response { status, .. } => status.as_u16().into(),
            Self::NoResponse { .. } | Self::Undeliverable(_) => 0,
        }
    }

    /// Why there was no response; empty if there was one.
    pub(crate) fn error(&self) -> &str {
        match self {
            Self::Response { .. } => "",
            Self::NoResponse { error, .. } => error,
            Self::Undeliverable(reason) => reason,
        }
    }

    /// The start of the response's body.
    pub(crate) fn body(&self) -> &[u8] {
        match self {
            Self::Response { body, .. } => body,
            Self::NoResponse { .. } | Self::Undeliverable(_) => &[],
        }
    }
}

/// What an answer means for its delivery and its destination.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Judgement {
    pub(crate) outcome: Outcome,
    /// How long until the next attempt; none if there is no next attempt.
    pub(crate) retry_in: Option<Duration>,
    /// The destination wants no more deliveries and is to be disabled.
    pub(crate) disable: bool,
    /// How long no further attempt may begin for the destination.
    pub(crate) throttle: Option<Duration>,
}

impl Judgement {
    /// Returns true if the delivery is given up.
    pub(crate) fn is_dead(&self) -> bool {
        self.outcome != Outcome::Delivered && self.retry_in.is_none()
    }
}

/// Judges the answer to attempt `number`, from 1.
///
/// `is_current` is false if the destination's settings changed since the attempt began. A 410 is then about
/// the earlier settings, so it does not disable the destination, and the delivery is tried again by the new
/// ones. `spread`, from 0 to 1, places the next attempt within the schedule's jitter.
pub(crate) fn judge(
    answer: &Answer,
    is_current: bool,
    schedule: &RetrySchedule,
    number: u32,
    spread: f64,
) -> Judgement {
    let end = |outcome| Judgement { outcome, retry_in: None, disable: false, throttle: None };
    let retry =
        |outcome, asked| Judgement { retry_in: schedule.wait_after(number, spread, asked), ..end(outcome) };
    match answer {
        Answer::Response { status, .. } if status.is_success() => end(Outcome::Delivered),
        // No further attempt until the destination is disabled.
        Answer::Response { status: StatusCode::GONE, .. } if is_current => {
            Judgement { disable: true, throttle: Some(MAX_THROTTLE), ..end(Outcome::Failed) }
        }
        Answer::Response { status, retry_after, .. } if is_busy(*status) => {
            let throttle = retry_after.map(|asked| asked.min(MAX_THROTTLE));
            Judgement { throttle, ..retry(Outcome::Failed, *retry_after) }
        }
        Answer::Response { .. } | Answer::NoResponse { sent: false, .. } => retry(Outcome::Failed, None),
        Answer::NoResponse { sent: true, .. } => retry(Outcome::Ambiguous, None),
        Answer::Undeliverable(_) => end(Outcome::Failed),
    }
}

/// Returns true if the status says that the consumer is too busy, and nothing about this event.
fn is_busy(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// Reads `Retry-After` (RFC 9110 §10.2.3), which is a number of seconds or a date. A date in the past asks
/// for nothing.
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
        Answer::Response {
            status: StatusCode::from_u16(code).unwrap(),
            body: Vec::new(),
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    fn after_first(answer: &Answer) -> Judgement {
        judge(answer, true, &RetrySchedule::try_from(vec![10]).unwrap(), 1, 0.5)
    }

    #[test]
    fn success_and_gone_are_not_retried() {
        assert_eq!(after_first(&status(204, None)).outcome, Outcome::Delivered);
        let gone = after_first(&status(410, None));
        assert_eq!((gone.outcome, gone.retry_in, gone.disable), (Outcome::Failed, None, true));
    }

    #[test]
    fn gone_does_not_disable_a_destination_that_changed_since() {
        let schedule = RetrySchedule::try_from(vec![10]).unwrap();
        let late = judge(&status(410, None), false, &schedule, 1, 0.5);
        assert_eq!((late.disable, late.throttle, late.is_dead()), (false, None, false));
        assert_eq!(late.retry_in, Some(Duration::from_secs(10)));
    }

    #[test]
    fn redirects_and_refusals_are_retried() {
        for code in [301, 307, 400, 404, 500] {
            let judgement = after_first(&status(code, Some(99)));
            assert_eq!(
                (judgement.outcome, judgement.retry_in),
                (Outcome::Failed, Some(Duration::from_secs(10))),
                "{code}"
            );
        }
    }

    #[test]
    fn retry_after_of_a_busy_consumer_delays_the_delivery_and_its_destination() {
        for code in [429, 502, 503, 504] {
            let judgement = after_first(&status(code, Some(99)));
            assert_eq!(judgement.retry_in, Some(Duration::from_secs(99)), "{code}");
            assert_eq!(judgement.throttle, Some(MAX_THROTTLE));
        }
    }

    #[test]
    fn an_attempt_is_ambiguous_if_the_request_may_have_arrived() {
        let none = |sent| Answer::NoResponse { sent, error: String::new() };
        assert_eq!(after_first(&none(true)).outcome, Outcome::Ambiguous);
        assert_eq!(after_first(&none(false)).outcome, Outcome::Failed);
    }

    #[test]
    fn the_last_attempt_of_the_schedule_is_not_retried() {
        let schedule = RetrySchedule::try_from(vec![10]).unwrap();
        assert_eq!(judge(&status(500, None), true, &schedule, 2, 0.5).retry_in, None);
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
