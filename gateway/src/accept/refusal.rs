//! Why a request was refused, and the only place where that becomes HTTP.

mod document;
mod unavailable;
mod unreadable;

use std::time::Duration;

use floodgate_batch::{BadEvent, MEDIA_TYPES};
use floodgate_event::{Problem, ProblemCode, problem};
use floodgate_ingress::{OverRate, Shed};
use floodgate_listen::{AnswerBody, BadHead, Exhausted, HeadLimits};
use floodgate_schemes::Failure;
use http::header::{ACCEPT, ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use self::document::Document;
pub(crate) use self::unavailable::Unavailable;

/// The least time after which a sender should try again after a 503. Senders increase it by themselves.
const RETRY_UNAVAILABLE: Duration = Duration::from_secs(1);

/// The challenge that a 401 must have. There is no registered scheme for signed webhooks.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Webhook-Signature");
/// The challenge to own applications ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750) section 3).
const BEARER: HeaderValue = HeaderValue::from_static("Bearer");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// The only content encoding that is accepted.
const TAKEN_ENCODING: HeaderValue = HeaderValue::from_static("gzip");

/// Why a request was refused. It is the sender's fault unless a variant says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The request cannot be read.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// The path does not exist, or the region does not know the source yet.
    #[error("no such path or source")]
    NotFound,
    #[error("method not allowed")]
    MethodNotAllowed {
        /// The methods that are allowed.
        allow: &'static str,
    },
    /// The fault of the sender or of the network.
    #[error("the body took too long")]
    TimedOut,
    #[error("the body is over {limit} bytes")]
    TooLarge {
        /// The most bytes, as sent and after decompression.
        limit: usize,
    },
    #[error("the request line and headers are over {} bytes or {} fields", limit.bytes, limit.fields)]
    HeadTooLarge {
        /// The most that a head may have.
        limit: HeadLimits,
    },
    #[error("the request target is too long")]
    TargetTooLong,
    #[error("content encoding not taken")]
    UnsupportedEncoding,
    /// The content type does not carry events.
    #[error("content type not taken")]
    UnsupportedMediaType,
    /// An event of an own application is not as it must be. No event of the request was taken.
    #[error("{0}")]
    BadEvent(BadEvent),
    #[error("more than {most} events")]
    TooManyEvents {
        /// The most events of a batch.
        most: usize,
    },
    #[error("expectation failed")]
    ExpectationFailed,
    /// The request uses a part of HTTP that this server does not implement.
    #[error("not implemented: {0}")]
    NotImplemented(&'static str),
    /// The fault of the sender or an attacker. Only the operator sees the reason: it is never part of the
    /// answer.
    #[error("signature refused: {0}")]
    SignatureRefused(Failure),
    /// The gateway lacks the key that the provider publishes. The sender should try again.
    #[error("signature not verified: {0}")]
    Unverified(Failure),
    /// There is no token, or it is that of no source. As with signatures, only the operator sees the reason.
    #[error("token refused: {0}")]
    Unauthorized(Failure),
    /// The sender's fault: the source does not list the type of an event in a batch. No event of the batch
    /// was taken.
    #[error("event {index}: the source does not take events of this type")]
    EventTypeRefused {
        /// The event's place, from 0.
        index: usize,
    },
    /// The sender's fault: the source does not list this type. Only a sender with a valid signature gets this
    /// answer.
    #[error("the source does not take events of this type")]
    TypeRefused,
    #[error("over the rate limit of the {policy}")]
    RateLimited {
        /// What the limit is for: `source` or `address`.
        policy: &'static str,
        /// The time until the next request is accepted.
        wait: Duration,
        /// How many requests are taken in a second.
        per_second: u32,
    },
    /// The handler's fault. The sender should try again.
    #[error("a handler failed")]
    HandlerFault,
    /// The gateway's fault. The sender should try again.
    #[error("not available: {0}")]
    Unavailable(Unavailable),
}

impl From<BadHead> for Refusal {
    fn from(bad: BadHead) -> Self {
        match bad {
            BadHead::Malformed(what) => Self::Malformed(what),
            BadHead::NotImplemented(what) => Self::NotImplemented(what),
            BadHead::TooLarge { limit } => Self::HeadTooLarge { limit },
            BadHead::Expectation => Self::ExpectationFailed,
        }
    }
}

impl Refusal {
    fn code(&self) -> ProblemCode {
        match self {
            Self::Malformed(_) | Self::BadEvent(_) => ProblemCode::Malformed,
            Self::NotFound => ProblemCode::NotFound,
            Self::MethodNotAllowed { .. } => ProblemCode::MethodNotAllowed,
            Self::TimedOut => ProblemCode::RequestTimeout,
            Self::TooLarge { .. } | Self::TooManyEvents { .. } => ProblemCode::TooLarge,
            Self::HeadTooLarge { .. } => ProblemCode::HeadersTooLarge,
            Self::TargetTooLong => ProblemCode::UriTooLong,
            Self::UnsupportedEncoding => ProblemCode::UnsupportedEncoding,
            Self::UnsupportedMediaType => ProblemCode::UnsupportedMediaType,
            Self::ExpectationFailed => ProblemCode::ExpectationFailed,
            Self::NotImplemented(_) => ProblemCode::NotImplemented,
            Self::SignatureRefused(_) => ProblemCode::SignatureRefused,
            Self::Unauthorized(_) => ProblemCode::Unauthorized,
            Self::TypeRefused | Self::EventTypeRefused { .. } => ProblemCode::TypeRefused,
            Self::RateLimited { .. } => ProblemCode::RateLimited,
            Self::HandlerFault => ProblemCode::HandlerFault,
            Self::Unverified(_) | Self::Unavailable(_) => ProblemCode::Unavailable,
        }
    }

    /// The label in metrics.
    pub(crate) fn outcome(&self) -> &'static str {
        self.code().as_str()
    }

    /// The same refusal for an own application, which sends a token instead of a signature.
    pub(crate) fn of_token(self) -> Self {
        match self {
            Self::SignatureRefused(failure) => Self::Unauthorized(failure),
            other => other,
        }
    }

    pub(crate) fn detail(&self) -> Option<String> {
        match self {
            Self::Malformed(what) | Self::NotImplemented(what) => Some((*what).to_owned()),
            Self::HeadTooLarge { limit } => {
                let HeadLimits { bytes, fields } = limit;
                Some(format!("at most {fields} headers, and {bytes} bytes of them with the request line"))
            }
            Self::ExpectationFailed => Some("`100-continue` or none".to_owned()),
            Self::TooLarge { limit } => Some(format!("at most {limit} bytes, as sent and decompressed")),
            Self::UnsupportedEncoding => Some("`gzip` or none".to_owned()),
            Self::UnsupportedMediaType => Some(format!("one of {MEDIA_TYPES}, in UTF-8")),
            Self::BadEvent(_) | Self::EventTypeRefused { .. } => Some(self.to_string()),
            Self::TooManyEvents { most } => Some(format!("at most {most} events")),
            Self::Unauthorized(_) => Some("`Authorization: Bearer` with the token of a source".to_owned()),
            Self::Unverified(_) => Some("the provider's key not fetched yet".to_owned()),
            Self::Unavailable(what) => Some(what.to_string()),
            Self::RateLimited { .. } => Some(self.to_string()),
            Self::NotFound
            | Self::MethodNotAllowed { .. }
            | Self::TimedOut
            | Self::TargetTooLong
            | Self::SignatureRefused(_)
            | Self::TypeRefused
            | Self::HandlerFault => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { wait, .. } => Some(*wait),
            Self::Unverified(_) | Self::Unavailable(_) => Some(RETRY_UNAVAILABLE),
            _ => None,
        }
    }

    /// The problem that the sender is told of.
    pub(crate) fn problem(&self) -> Problem {
        Problem { detail: self.detail(), ..Problem::new(self.code()) }
    }

    /// The problem document that the sender gets.
    fn document(&self) -> Vec<u8> {
        let index = match self {
            Self::BadEvent(bad) => bad.index,
            Self::EventTypeRefused { index } => Some(*index),
            _ => None,
        };
        // A document of strings and numbers always serializes; an empty body would still carry the status.
        serde_json::to_vec(&Document { problem: self.problem(), event: index }).unwrap_or_default()
    }

    /// The step of a signature's verification that failed.
    pub(crate) fn step(&self) -> Option<&'static str> {
        match self {
            Self::SignatureRefused(failure) | Self::Unverified(failure) | Self::Unauthorized(failure) => {
                Some(failure.step().as_str())
            }
            _ => None,
        }
    }

    /// The status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.code().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The answer that the sender gets.
    pub(crate) fn into_response(self) -> Response<AnswerBody> {
        let mut response = Response::new(AnswerBody::from(self.document()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(problem::CONTENT_TYPE));
        if let Some(wait) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        match self {
            Self::MethodNotAllowed { allow } => drop(headers.insert(ALLOW, HeaderValue::from_static(allow))),
            // RFC 9110 §15.5.2 and §15.5.16.
            Self::SignatureRefused(_) => drop(headers.insert(WWW_AUTHENTICATE, CHALLENGE)),
            Self::Unauthorized(_) => drop(headers.insert(WWW_AUTHENTICATE, BEARER)),
            Self::UnsupportedMediaType => {
                drop(headers.insert(ACCEPT, HeaderValue::from_static(MEDIA_TYPES)));
            }
            Self::RateLimited { policy, wait, per_second } => {
                limit_fields(headers, policy, wait, per_second);
            }
            Self::UnsupportedEncoding => drop(headers.insert(ACCEPT_ENCODING, TAKEN_ENCODING)),
            _ => {}
        }
        response
    }
}

/// Says which limit was reached, and when it takes more, by draft-ietf-httpapi-ratelimit-headers-10 and
/// later.
fn limit_fields(headers: &mut HeaderMap, policy: &str, wait: Duration, per_second: u32) {
    let fields = [
        (RATELIMIT_POLICY, format!("\"{policy}\";q={per_second};w=1")),
        (RATELIMIT, format!("\"{policy}\";r=0;t={}", whole_seconds(wait))),
    ];
    for (name, value) in fields {
        // Digits and letters always make a value.
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}

impl From<Unavailable> for Refusal {
    fn from(what: Unavailable) -> Self {
        Self::Unavailable(what)
    }
}

impl From<Shed> for Refusal {
    fn from(shed: Shed) -> Self {
        Self::Unavailable(Unavailable::Shed(shed))
    }
}

impl From<OverRate> for Refusal {
    fn from(OverRate { wait, per_second }: OverRate) -> Self {
        Self::RateLimited { policy: "address", wait, per_second }
    }
}

impl From<Exhausted> for Refusal {
    fn from(_: Exhausted) -> Self {
        Self::Unavailable(Unavailable::Memory)
    }
}

/// Rounded up, so that whoever waits that long does not come too early.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn why_a_signature_was_refused_is_not_answered() {
        use http_body_util::BodyExt as _;

        let mut answers = Vec::new();
        for why in [
            Failure::Missing("x-hub-signature-256".into()),
            Failure::Malformed { name: "x-hub-signature-256".into(), expected: "a signature".into() },
            Failure::Stale { seconds: -340, tolerance: 300 },
            Failure::NoMatch { keys: 2 },
        ] {
            let (parts, body) = Refusal::SignatureRefused(why).into_response().into_parts();
            answers.push((parts.status, parts.headers, body.collect().await.unwrap().to_bytes()));
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    }

    #[test]
    fn what_may_be_retried_says_when() {
        let wait = Duration::from_millis(1_200);
        let limited = Refusal::RateLimited { policy: "source", wait, per_second: 50 }.into_response();
        assert_eq!(
            (limited.status().as_u16(), &limited.headers()[RETRY_AFTER]),
            (429, &HeaderValue::from(2))
        );
        assert_eq!(limited.headers()[RATELIMIT], "\"source\";r=0;t=2");
        assert_eq!(limited.headers()[RATELIMIT_POLICY], "\"source\";q=50;w=1");
        let limited = Refusal::RateLimited { policy: "address", wait, per_second: 5 }.into_response();
        assert_eq!(limited.headers()[RATELIMIT_POLICY], "\"address\";q=5;w=1");
        let unavailable = Refusal::Unavailable(Unavailable::Queue).into_response();
        assert_eq!(
            (unavailable.status().as_u16(), unavailable.headers().contains_key(RETRY_AFTER)),
            (503, true)
        );
        let refused = Refusal::SignatureRefused(Failure::Missing("x".into())).into_response();
        assert_eq!((refused.status().as_u16(), refused.headers().contains_key(RETRY_AFTER)), (401, false));
    }
}
