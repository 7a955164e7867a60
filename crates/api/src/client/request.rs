//! Makes requests: fills in paths, adds the token, bounds answers.

use std::time::Duration;

use floodgate_event::Problem;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::{Client, ClientError, Lines};

/// How long a change may take. The relay may have to ask handlers first.
const ASKING_TIMEOUT: Duration = Duration::from_secs(185);
/// How long lines may be followed: ten years.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 86_400);

impl Client {
    pub(super) async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T, ClientError> {
        self.answer(self.http.get(url.clone()), url).await
    }

    pub(super) async fn remove<T: DeserializeOwned>(&self, url: Url) -> Result<T, ClientError> {
        self.answer(self.http.delete(url.clone()), url).await
    }

    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        url: Url,
        document: &impl Serialize,
    ) -> Result<T, ClientError> {
        let request = self.http.request(method, url.clone()).timeout(ASKING_TIMEOUT).json(document);
        self.answer(request, url).await
    }

    pub(super) async fn answer<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        url: Url,
    ) -> Result<T, ClientError> {
        let sent = request.bearer_auth(self.token.expose()).send().await;
        let mut response = sent.map_err(|source| ClientError::Unreachable { url: url.clone(), source })?;
        let status = response.status();
        let body = read(&mut response).await.map_err(|source| ClientError::Unreachable { url, source })?;
        let body = body.ok_or(ClientError::TooLarge)?;
        if !status.is_success() {
            return Err(refusal(status, &body));
        }
        serde_json::from_slice(&body).map_err(ClientError::Answer)
    }

    pub(super) async fn lines(&self, url: Url, most: usize) -> Result<Lines, ClientError> {
        let request = self.http.get(url.clone()).timeout(FOR_EVER).bearer_auth(self.token.expose());
        let unreachable = |source| ClientError::Unreachable { url, source };
        let mut response = request.send().await.map_err(unreachable.clone())?;
        let status = response.status();
        if status.is_success() {
            return Ok(Lines::new(response, most));
        }
        let body = read(&mut response).await.map_err(unreachable)?.ok_or(ClientError::TooLarge)?;
        Err(refusal(status, &body))
    }

    /// Fills the parameter of a path of [`crate::paths`] in, escaped as needed, and adds this query.
    pub(super) fn url_with(
        &self,
        path: &str,
        parameter: Option<&str>,
        query: &impl Serialize,
    ) -> Result<Url, ClientError> {
        let mut url = self.url(path, parameter)?;
        let query = serde_urlencoded::to_string(query).map_err(ClientError::Query)?;
        url.set_query(Some(&query));
        Ok(url)
    }

    /// Fills the parameter of a path of [`crate::paths`] in, escaped as needed.
    pub(super) fn url(&self, path: &str, parameter: Option<&str>) -> Result<Url, ClientError> {
        // A URL drops these segments, and the request would go to another path.
        if let Some(parameter @ ("" | "." | "..")) = parameter {
            return Err(ClientError::Segment(parameter.to_owned()));
        }
        let segments = path.split('/').skip(1).map(|segment| match parameter {
            Some(parameter) if segment.starts_with('{') => parameter,
            _ => segment,
        });
        let mut url = self.base.clone();
        // `cannot_be_a_base` was ruled out before, but the error of this method says nothing.
        let mut filled = url.path_segments_mut().map_err(|()| ClientError::Address(self.base.clone()))?;
        filled.pop_if_empty().extend(segments);
        drop(filled);
        Ok(url)
    }
}

/// Reads the body, or returns none if it is larger than [`ClientError::MAX_ANSWER`].
async fn read(response: &mut Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > ClientError::MAX_ANSWER {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

fn refusal(status: StatusCode, body: &[u8]) -> ClientError {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => ClientError::Refused(problem),
        Err(_) => ClientError::Status(status),
    }
}

#[cfg(test)]
mod tests {
    use floodgate_event::Secret;

    use super::*;
    use crate::paths;
    use crate::query::WaitQuery;

    fn client() -> Client {
        // Other tests may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let base = Url::parse("http://127.0.0.1:8400").unwrap();
        Client::new(base, Secret::new("t")).unwrap()
    }

    #[test]
    fn what_a_path_would_swallow_is_no_id() {
        let api = client();
        assert_eq!(api.url(paths::EVENT, Some("a/b")).unwrap().path(), "/v1/events/a%2Fb");
        for id in ["", ".", ".."] {
            assert!(matches!(api.url(paths::EVENT, Some(id)), Err(ClientError::Segment(_))), "{id}");
        }
    }

    #[test]
    fn parameters_stand_where_the_path_has_them() {
        let url = client().url_with(paths::ROLLOUT, Some("trim"), &WaitQuery { wait: false }).unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:8400/v1/handlers/trim/rollout?wait=false");
        let below = Client { base: Url::parse("https://example.com/relay/").unwrap(), ..client() };
        assert_eq!(below.url(paths::BOOKS, None).unwrap().as_str(), "https://example.com/relay/v1/books");
    }
}
