//! `/v1/openapi.json`: kept by hand; a test holds it and the endpoints to each other.

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::Endpoint;

/// [OpenAPI 3.1](https://spec.openapis.org/oas/v3.1.0).
const DOCUMENT: &str = include_str!("openapi.json");

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::get("/v1/openapi.json", show)]
}

async fn show() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_endpoint_is_in_the_document_and_nothing_else() {
        let document: serde_json::Value = serde_json::from_str(DOCUMENT).unwrap();
        let described = document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys().filter(|key| *key != "parameters");
            methods.map(|method| (path.clone(), method.to_uppercase())).collect::<Vec<_>>()
        });
        let served = super::super::endpoints().into_iter().chain(super::super::health::endpoints());
        let served = served.map(|endpoint| (endpoint.path.to_owned(), endpoint.method.to_string()));
        assert_eq!(described.collect::<BTreeSet<_>>(), served.collect::<BTreeSet<_>>());
    }
}
