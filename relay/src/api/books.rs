//! `/v1/books`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use floodgate_event::ProblemCode;
use floodgate_replicate::books::{Books, BooksError};

use super::{ApiError, ApiState, Endpoint};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::get("/v1/books", take)]
}

async fn take(State(state): State<ApiState>) -> Result<Json<Arc<Books>>, ApiError> {
    Ok(Json(state.books.take().await?))
}

impl From<Arc<BooksError>> for ApiError {
    fn from(error: Arc<BooksError>) -> Self {
        let code = match &*error {
            BooksError::Read(_) | BooksError::Purging => ProblemCode::Unavailable,
            BooksError::Deliveries(_) | BooksError::Anew | BooksError::Unknown => ProblemCode::Internal,
        };
        Self::ours(code, &*error)
    }
}
