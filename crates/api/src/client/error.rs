//! The errors of the client.

use floodgate_event::Problem;
use reqwest::StatusCode;
use url::Url;

/// Why a call of the admin API failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is not a URL that HTTP can use.
    #[error("`{0}` is not the address of an API")]
    Address(Url),
    /// A name or id cannot be part of a path.
    #[error("`{0}` is no id and no name")]
    Segment(String),
    /// The parameters cannot be written as a query.
    #[error("cannot write the query")]
    Query(#[source] serde_urlencoded::ser::Error),
    /// TLS could not be set up.
    #[error("cannot make an HTTP client")]
    Client(#[source] reqwest::Error),
    /// The API did not answer, or the answer was cut off.
    #[error("no answer from {url}")]
    Unreachable {
        /// The request, for people to read.
        url: Url,
        /// The error of the HTTP client.
        source: reqwest::Error,
    },
    /// The API refused the request and said why.
    #[error("{}{}", .0.title, .0.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default())]
    Refused(Problem),
    /// The answer is not from the API.
    #[error("answered with {0} and no problem document: is this the admin API?")]
    Status(StatusCode),
    /// The answer is larger than [`Self::MAX_ANSWER`].
    #[error("the answer is larger than {max} bytes", max = Self::MAX_ANSWER)]
    TooLarge,
    /// The answer does not have the form that was asked for.
    #[error("the answer is not what this version expects")]
    Answer(#[source] serde_json::Error),
}

impl ClientError {
    /// The largest answer that is read, in bytes.
    pub const MAX_ANSWER: usize = 64 * 1024 * 1024;

    /// Returns true if the request is wrong, so that another try would fail as well.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Address(_) | Self::Segment(_) => true,
            Self::Refused(problem) => problem.status == StatusCode::UNAUTHORIZED.as_u16(),
            _ => false,
        }
    }
}
