//! `/v1/books`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use floodgate_api::books::Books;
use floodgate_api::paths;
use floodgate_event::{Problem, ProblemCode};
use floodgate_replicate::books::BooksError;
use utoipa_axum::routes;

use super::{ApiError, ApiState, Endpoint};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::quick(routes!(take))]
}

/// Both balances, in all and per source, with the cut they were taken at.
#[utoipa::path(
    get,
    path = paths::BOOKS,
    operation_id = "books",
    tag = "books",
    responses(
        (status = 200, body = Books, description = "The books"),
        (status = 401, response = Problem),
        (status = 503, response = Problem),
    )
)]
async fn take(State(state): State<ApiState>) -> Result<Json<Books>, ApiError> {
    Ok(Json(Books::clone(&*state.books.take().await?)))
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
