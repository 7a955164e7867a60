//! `/v1/openapi.json`: what the annotations of the endpoints say.

use std::sync::LazyLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use floodgate_api::paths;
use floodgate_event::Problem;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::routes;

use super::Endpoint;

/// [OpenAPI 3.1](https://spec.openapis.org/oas/v3.1.0). Empty if it cannot be written, which a test rules
/// out.
static DOCUMENT: LazyLock<String> =
    LazyLock::new(|| super::described().to_pretty_json().unwrap_or_default() + "\n");

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::quick(routes!(show))]
}

/// This document.
#[utoipa::path(
    get,
    path = paths::OPENAPI,
    operation_id = "openapi",
    tag = "openapi",
    responses(
        (status = 200, body = Object, description = "OpenAPI 3.1"),
        (status = 401, response = Problem),
    )
)]
async fn show() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT.as_str())
}

/// The document before any endpoint is in it.
pub(super) fn empty() -> OpenApi {
    let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
    let info = InfoBuilder::new().title("Floodgate admin API").version("1").license(Some(license));
    let token = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let components = ComponentsBuilder::new()
        .security_scheme("token", token)
        .response_from::<Problem>()
        .schema_from::<Problem>();
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components.build()))
        .security(Some([SecurityRequirement::new::<_, [&str; 0], &str>("token", [])]))
        .build()
}

#[cfg(test)]
mod tests;
