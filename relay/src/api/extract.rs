//! Extracts the parts of a request. If one is wrong, the answer is a problem document.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use floodgate_api::document::{Document, Invalid, read_json};
use floodgate_api::query::{WaitQuery, WriteQuery};
use floodgate_control::{Mode, Precondition, Tags};
use floodgate_event::{Name, ProblemCode};

use super::ApiError;

/// The `{name}` in the path.
pub(super) struct PathName(pub(super) Name);

impl<S: Send + Sync> FromRequestParts<S> for PathName {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(text) = Path::<String>::from_request_parts(parts, state).await?;
        let name = text.parse().map_err(|error: floodgate_event::name::InvalidName| Invalid {
            path: "name".to_owned(),
            message: error.to_string(),
        })?;
        Ok(Self(name))
    }
}

/// The body, byte for byte, within the endpoint's limit.
pub(super) struct Body(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes: Result<Bytes, BytesRejection> = Bytes::from_request(request, state).await;
        Ok(Self(bytes?))
    }
}

/// The body as a document that was checked.
pub(super) struct Checked<T>(pub(super) T);

impl<S: Send + Sync, T: Document> FromRequest<S> for Checked<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let Body(text) = Body::from_request(request, state).await?;
        Ok(Self(read_json(&text)?))
    }
}

/// How many rows a page of a list has: as many as were asked for, or the default.
pub(super) fn page_limit(asked: Option<usize>, default: usize, most: usize) -> Result<usize, Invalid> {
    let limit = asked.unwrap_or(default);
    match (1..=most).contains(&limit) {
        true => Ok(limit),
        false => Err(Invalid::new("limit", format!("{limit} is out of range: expected 1 to {most}"))),
    }
}

/// The parameters of a `PUT`.
#[derive(Clone, Copy)]
pub(super) struct Write {
    pub(super) mode: Mode,
    /// True if the answer waits until the change is in force.
    pub(super) wait: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Write {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(query) = Query::<WriteQuery>::from_request_parts(parts, state).await?;
        Ok(Self { mode: if query.dry_run { Mode::DryRun } else { Mode::Write }, wait: query.wait })
    }
}

/// True if the answer waits until the change is in force. For changes without a dry run.
#[derive(Clone, Copy)]
pub(super) struct Wait {
    pub(super) wait: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Wait {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(query) = Query::<WaitQuery>::from_request_parts(parts, state).await?;
        Ok(Self { wait: query.wait })
    }
}

/// The caller's `If-Match` and `If-None-Match`.
pub(super) struct Expected(pub(super) Precondition);

impl<S: Send + Sync> FromRequestParts<S> for Expected {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let (if_match, if_none_match) = (tags(parts, &IF_MATCH)?, tags(parts, &IF_NONE_MATCH)?);
        Ok(Self(Precondition { if_match, if_none_match }))
    }
}

/// Joins all lines of a header, which form one list.
fn tags(parts: &Parts, header: &HeaderName) -> Result<Option<Tags>, ApiError> {
    let wrong = || {
        let expected = format!("`{header}`: expected `*`, or ETags in their quotes with commas between them");
        ApiError::new(ProblemCode::Malformed, expected)
    };
    let lines = parts.headers.get_all(header).iter().map(|line| line.to_str());
    let lines = lines.collect::<Result<Vec<_>, _>>().map_err(|_| wrong())?;
    if lines.is_empty() {
        return Ok(None);
    }
    Tags::parse(&lines.join(",")).map(Some).ok_or_else(wrong)
}
