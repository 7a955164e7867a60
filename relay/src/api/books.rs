//! `/v1/books`.

use axum::Json;
use axum::extract::State;
use floodgate_event::ProblemCode;

use super::{ApiError, ApiState, Endpoint};
use crate::books::{Books, BooksError};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::get("/v1/books", take)]
}

async fn take(State(state): State<ApiState>) -> Result<Json<Books>, ApiError> {
    Ok(Json(state.books.take().await?))
}

impl From<BooksError> for ApiError {
    fn from(error: BooksError) -> Self {
        let code = match &error {
            BooksError::Read(_) => ProblemCode::Unavailable,
            BooksError::Deliveries(_) | BooksError::Unknown => ProblemCode::Internal,
        };
        Self::ours(code, &error)
    }
}
