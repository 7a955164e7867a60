//! Serves the metrics.

use axum::Router;
use axum::routing::get;
use prometheus::{Registry, TextEncoder};

/// Makes the router that serves `GET /metrics`.
pub(crate) fn router(registry: Registry) -> Router {
    let page = move || {
        let registry = registry.clone();
        async move {
            let text = TextEncoder::new().encode_to_string(&registry.gather());
            match text {
                Ok(text) => Ok(([(http::header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text)),
                Err(error) => {
                    tracing::error!(%error, "metrics cannot be written");
                    Err(http::StatusCode::INTERNAL_SERVER_ERROR)
                }
            }
        }
    };
    Router::new().route("/metrics", get(page))
}
