//! Errors become HTTP here and nowhere else.

use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use floodgate_api::document::Invalid;
use floodgate_control::{BindingError, ChangeError, CheckError, Refused, StoreError, UploadError};
use floodgate_event::causes::chain;
use floodgate_event::document::DocumentError;
use floodgate_event::problem::CONTENT_TYPE as PROBLEM;
use floodgate_event::{Problem, ProblemCode};

/// The seconds after which a client should try again if a service is unavailable.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("2");

/// An error in the form that the caller gets.
#[derive(Debug)]
pub(crate) struct ApiError(Problem);

impl ApiError {
    pub(crate) fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self(Problem::with_detail(code, detail))
    }

    /// An error that is not the caller's fault. It is logged here, once, and the answer does not show its
    /// details.
    pub(crate) fn ours(code: ProblemCode, error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(code = code.as_str(), error = chain(error), "an admin request failed");
        Self::new(code, error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> axum::response::Response {
        // The status of every code is valid.
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = Response::new(axum::Json(self.0).into_response().into_body());
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        response
    }
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        Self::new(ProblemCode::Invalid, invalid.to_string())
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let code = match &refused {
            Refused::NotFound { .. } => ProblemCode::NotFound,
            Refused::StillBound { .. }
            | Refused::ChangedMeanwhile
            | Refused::NoPreviousVersion(_)
            | Refused::AlreadyPromoted { .. } => ProblemCode::Conflict,
            Refused::Precondition { .. } => ProblemCode::PreconditionFailed,
            Refused::Invalid(_) | Refused::LimitReached { .. } | Refused::SnapshotTooLarge { .. } => {
                ProblemCode::Invalid
            }
            Refused::Seal(_) => return Self::ours(ProblemCode::Internal, &refused),
        };
        Self::new(code, refused.to_string())
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Format(DocumentError::TooLarge(_)) => {
                Self::new(ProblemCode::Invalid, error.to_string())
            }
            StoreError::Busy => Self::new(ProblemCode::Conflict, error.to_string()),
            StoreError::Bucket(_)
            | StoreError::Read(_)
            | StoreError::Write(_)
            | StoreError::History(_)
            | StoreError::Watch(_) => Self::ours(ProblemCode::Unavailable, &error),
            StoreError::Deleted | StoreError::Format(_) | StoreError::Unreadable(_) => {
                Self::ours(ProblemCode::Internal, &error)
            }
        }
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Refused(refused) => refused.into(),
            ChangeError::Binding(error) => (*error).into(),
            ChangeError::Store(error) => error.into(),
        }
    }
}

impl From<BindingError> for ApiError {
    fn from(error: BindingError) -> Self {
        match &error {
            BindingError::Parameters { fault, .. } if fault.is_components_fault() => {
                Self::new(ProblemCode::Invalid, error.to_string())
            }
            BindingError::Parameters { .. } => Self::ours(ProblemCode::Internal, &error),
            BindingError::Component(_) => Self::ours(ProblemCode::Unavailable, &error),
        }
    }
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Check(error) => error.into(),
            UploadError::Component(error) => Self::ours(ProblemCode::Unavailable, &error),
            UploadError::Change(error) => error.into(),
        }
    }
}

impl From<CheckError> for ApiError {
    fn from(error: CheckError) -> Self {
        match &error {
            CheckError::Refused(_)
            | CheckError::Limit(_)
            | CheckError::Crashed(_)
            | CheckError::TimedOut(_) => Self::new(ProblemCode::Invalid, error.to_string()),
            CheckError::ShuttingDown => Self::new(ProblemCode::Unavailable, error.to_string()),
            CheckError::Start(_) | CheckError::Io(_) => Self::ours(ProblemCode::Internal, &error),
        }
    }
}

impl From<BytesRejection> for ApiError {
    fn from(rejection: BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::new(
                ProblemCode::TooLarge,
                "the body is larger than this endpoint takes: see /v1/openapi.json",
            ),
            _ => Self::new(ProblemCode::Malformed, rejection.body_text()),
        }
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::new(ProblemCode::Malformed, rejection.body_text())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(ProblemCode::Malformed, rejection.body_text())
    }
}
