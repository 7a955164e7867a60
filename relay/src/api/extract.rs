//! What endpoints take from a request, with problems for answers where it is wrong.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use floodgate_event::Name;
use serde::Deserialize;

use super::ApiError;
use crate::control::Mode;
use crate::control::document::{Document, Invalid, read_json};

/// `{name}` of the path.
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

/// The body as it came, within the endpoint's limit.
pub(super) struct Body(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes: Result<Bytes, BytesRejection> = Bytes::from_request(request, state).await;
        Ok(Self(bytes?))
    }
}

/// The body as a checked document.
pub(super) struct Checked<T>(pub(super) T);

impl<S: Send + Sync, T: Document> FromRequest<S> for Checked<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let Body(text) = Body::from_request(request, state).await?;
        Ok(Self(read_json(&text)?))
    }
}

/// `?dry_run=true`.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WriteQuery {
    #[serde(default)]
    dry_run: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Mode {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(query) = Query::<WriteQuery>::from_request_parts(parts, state).await?;
        Ok(if query.dry_run { Self::DryRun } else { Self::Write })
    }
}
