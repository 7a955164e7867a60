//! Why a request was not taken, and the one place where that becomes HTTP.

use std::time::Duration;

use floodgate_event::{Problem, ProblemCode, problem};
use floodgate_listen::{BadHead, Exhausted, Held, MAX_FIELDS};
use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

/// When a sender should try again after a 503. Senders back off by themselves; this is the least.
const RETRY_UNAVAILABLE: Duration = Duration::from_secs(1);

/// What a 401 must name. There is no registered scheme for signed webhooks.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Webhook-Signature");
/// The content encoding that is taken.
const TAKEN_ENCODING: HeaderValue = HeaderValue::from_static("gzip");

/// Why a request was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The sender's fault: it cannot be read.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// The sender's, or a source that the region does not know yet.
    #[error("no such path or source")]
    NotFound,
    /// The sender's.
    #[error("method not allowed")]
    MethodNotAllowed {
        /// What is.
        allow: &'static str,
    },
    /// The sender's, or the network's.
    #[error("the body took too long")]
    TimedOut,
    /// The sender's.
    #[error("the body is over {limit} bytes")]
    TooLarge {
        /// In bytes, as sent and decompressed.
        limit: usize,
    },
    /// The sender's.
    #[error("the request line and headers are over {limit} bytes or {MAX_FIELDS} fields")]
    HeadTooLarge {
        /// In bytes.
        limit: usize,
    },
    /// The sender's.
    #[error("the request target is too long")]
    TargetTooLong,
    /// The sender's.
    #[error("content encoding not taken")]
    UnsupportedEncoding,
    /// The sender's.
    #[error("expectation failed")]
    ExpectationFailed,
    /// The sender's: part of HTTP, and not of this server.
    #[error("not implemented: {0}")]
    NotImplemented(&'static str),
    /// The sender's, or an attacker's. The reason is for the operator alone: it is never part of the answer.
    #[error("signature refused: {0}")]
    SignatureRefused(NotSigned),
    /// The sender's: the source lists the types that it takes, and this is none of them. Only said to who can
    /// sign.
    #[error("the source does not take events of this type")]
    TypeRefused,
    /// The sender's.
    #[error("over the source's rate limit")]
    RateLimited {
        /// Until the next request is taken.
        wait: Duration,
    },
    /// The handler's; the sender should try again.
    #[error("a handler failed")]
    HandlerFault,
    /// Ours; the sender should try again.
    #[error("not available: {0}")]
    Unavailable(Unavailable),
}

/// What it is that is not available.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unavailable {
    /// No configuration has arrived yet.
    #[error("no configuration yet")]
    NoConfiguration,
    /// This gateway cannot serve the source as it is configured.
    #[error("source not ready")]
    Refused,
    /// The configuration is older than the source allows.
    #[error("configuration too old")]
    StaleConfiguration,
    /// The memory for requests is used up.
    #[error("memory used up")]
    Memory,
    /// The lane's queue is full.
    #[error("queue full")]
    Queue,
    /// They must not run before a restart.
    #[error("handlers stopped")]
    Handlers,
    /// The block got no publish ack: no connection, no stream, a full stream, or no answer in time.
    #[error("not made durable")]
    NotDurable,
}

/// What was wrong with a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotSigned {
    /// It is not there.
    #[error("header {0} missing")]
    Missing(&'static str),
    /// It is there more than once, or cannot be read.
    #[error("header {0} malformed")]
    Malformed(&'static str),
    /// Its time is too far from now.
    #[error("signed {} s {}, and {tolerance} s are allowed", .seconds.unsigned_abs(), if *.seconds < 0 { "ago" } else { "ahead" })]
    Stale {
        /// How far ahead of now; below 0 for the past.
        seconds: i64,
        /// How far it may be.
        tolerance: u64,
    },
    /// No secret makes it.
    #[error("matches none of {secrets} {}", if *.secrets == 1 { "secret" } else { "secrets" })]
    NoMatch {
        /// How many the source has.
        secrets: usize,
    },
}

impl NotSigned {
    /// What it is called in metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Missing(_) => "header_missing",
            Self::Malformed(_) => "header_malformed",
            Self::Stale { .. } => "stale",
            Self::NoMatch { .. } => "no_match",
        }
    }
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
            Self::Malformed(_) => ProblemCode::Malformed,
            Self::NotFound => ProblemCode::NotFound,
            Self::MethodNotAllowed { .. } => ProblemCode::MethodNotAllowed,
            Self::TimedOut => ProblemCode::RequestTimeout,
            Self::TooLarge { .. } => ProblemCode::TooLarge,
            Self::HeadTooLarge { .. } => ProblemCode::HeadersTooLarge,
            Self::TargetTooLong => ProblemCode::UriTooLong,
            Self::UnsupportedEncoding => ProblemCode::UnsupportedEncoding,
            Self::ExpectationFailed => ProblemCode::ExpectationFailed,
            Self::NotImplemented(_) => ProblemCode::NotImplemented,
            Self::SignatureRefused(_) => ProblemCode::SignatureRefused,
            Self::TypeRefused => ProblemCode::TypeRefused,
            Self::RateLimited { .. } => ProblemCode::RateLimited,
            Self::HandlerFault => ProblemCode::HandlerFault,
            Self::Unavailable(_) => ProblemCode::Unavailable,
        }
    }

    /// What it is called in metrics.
    pub(crate) fn outcome(&self) -> &'static str {
        self.code().as_str()
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::Malformed(what) | Self::NotImplemented(what) => Some((*what).to_owned()),
            Self::HeadTooLarge { limit } => {
                Some(format!("at most {MAX_FIELDS} headers, and {limit} bytes of them with the request line"))
            }
            Self::ExpectationFailed => Some("`100-continue` or none".to_owned()),
            Self::TooLarge { limit } => Some(format!("at most {limit} bytes, as sent and decompressed")),
            Self::UnsupportedEncoding => Some("`gzip` or none".to_owned()),
            Self::Unavailable(what) => Some(what.to_string()),
            Self::NotFound
            | Self::MethodNotAllowed { .. }
            | Self::TimedOut
            | Self::TargetTooLong
            | Self::SignatureRefused(_)
            | Self::TypeRefused
            | Self::RateLimited { .. }
            | Self::HandlerFault => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { wait } => Some(*wait),
            Self::Unavailable(_) => Some(RETRY_UNAVAILABLE),
            _ => None,
        }
    }

    /// The problem document that the sender gets.
    fn document(&self) -> Vec<u8> {
        let document = Problem { detail: self.detail(), ..Problem::new(self.code()) };
        // A document of strings and a number always serializes; an empty body would still carry the status.
        serde_json::to_vec(&document).unwrap_or_default()
    }

    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.code().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The answer that the sender gets.
    pub(crate) fn into_response(self) -> Response<Held> {
        let mut response = Response::new(Held::from(self.document()));
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
            Self::UnsupportedEncoding => drop(headers.insert(ACCEPT_ENCODING, TAKEN_ENCODING)),
            _ => {}
        }
        response
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
            NotSigned::Missing("x-hub-signature-256"),
            NotSigned::Malformed("x-hub-signature-256"),
            NotSigned::Stale { seconds: -340, tolerance: 300 },
            NotSigned::NoMatch { secrets: 2 },
        ] {
            let (parts, body) = Refusal::SignatureRefused(why).into_response().into_parts();
            answers.push((parts.status, parts.headers, body.collect().await.unwrap().to_bytes()));
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        let stale = NotSigned::Stale { seconds: -340, tolerance: 300 };
        assert_eq!(stale.to_string(), "signed 340 s ago, and 300 s are allowed");
        assert_eq!(NotSigned::NoMatch { secrets: 2 }.to_string(), "matches none of 2 secrets");
    }

    #[test]
    fn what_may_be_retried_says_when() {
        let limited = Refusal::RateLimited { wait: Duration::from_millis(1_200) }.into_response();
        assert_eq!(
            (limited.status().as_u16(), &limited.headers()[RETRY_AFTER]),
            (429, &HeaderValue::from(2))
        );
        let unavailable = Refusal::Unavailable(Unavailable::Queue).into_response();
        assert_eq!(
            (unavailable.status().as_u16(), unavailable.headers().contains_key(RETRY_AFTER)),
            (503, true)
        );
        let refused = Refusal::SignatureRefused(NotSigned::Missing("x")).into_response();
        assert_eq!((refused.status().as_u16(), refused.headers().contains_key(RETRY_AFTER)), (401, false));
    }
}
