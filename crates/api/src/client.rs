//! A client of the admin API. What it reads is bounded in time and size.

use std::time::Duration;

use floodgate_event::{Problem, Secret};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, Response, StatusCode, redirect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

/// How long one request may take, its answer included.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The same of a change, for which the relay may have to ask handlers first.
const ASKING_TIMEOUT: Duration = Duration::from_secs(185);
/// How long lines may be followed: ten years.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 86_400);
/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// A client of the admin API.
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: Secret,
}

impl Client {
    /// A client for the API at this address. It follows no redirects: the token is for this host alone.
    ///
    /// # Errors
    /// If the URL cannot have a path, or TLS cannot be set up.
    pub fn new(base: Url, token: Secret) -> Result<Self, ClientError> {
        if base.cannot_be_a_base() {
            return Err(ClientError::Address(base));
        }
        let http = reqwest::Client::builder().timeout(TIMEOUT).redirect(redirect::Policy::none()).build();
        Ok(Self { http: http.map_err(ClientError::Client)?, base, token })
    }

    /// Reads the document under `/v1/` and these segments, each of which is escaped as needed.
    ///
    /// # Errors
    /// If the API cannot be reached, refuses, or answers with something else than `T`.
    pub async fn get<T: DeserializeOwned>(&self, segments: &[&str]) -> Result<T, ClientError> {
        let url = self.url(segments)?;
        self.answer(self.http.get(url.clone()), url).await
    }

    /// Reads the document under `/v1/` and these segments, asked for with these parameters.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn query<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        parameters: &[(&str, String)],
    ) -> Result<T, ClientError> {
        let mut url = self.url(segments)?;
        url.query_pairs_mut().extend_pairs(parameters);
        self.answer(self.http.get(url.clone()), url).await
    }

    /// Posts a document under `/v1/` and these segments.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        document: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.send(Method::POST, self.url(segments)?, document).await
    }

    /// As [`Self::post`], with this query.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post_with<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        document: &impl Serialize,
        query: &str,
    ) -> Result<T, ClientError> {
        self.send(Method::POST, self.url_with(segments, query)?, document).await
    }

    /// Puts a document under `/v1/` and these segments, with this query:
    /// `dry_run=true` asks what that would do.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn put<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        document: &impl Serialize,
        query: &str,
    ) -> Result<T, ClientError> {
        self.send(Method::PUT, self.url_with(segments, query)?, document).await
    }

    /// Puts bytes, given with their number, under `/v1/` and these segments; takes at most `timeout`.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn upload<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        (body, length): (reqwest::Body, u64),
        timeout: Duration,
    ) -> Result<T, ClientError> {
        let url = self.url(segments)?;
        let request = self.http.put(url.clone()).timeout(timeout).body(body);
        let typed = request.header(CONTENT_TYPE, "application/wasm").header(CONTENT_LENGTH, length);
        self.answer(typed, url).await
    }

    /// Reads lines from under `/v1/` and these segments for as long as they come.
    /// Longer ones than `most` bytes end it.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn lines(&self, segments: &[&str], most: usize) -> Result<Lines, ClientError> {
        let url = self.url(segments)?;
        let request = self.http.get(url.clone()).timeout(FOR_EVER).bearer_auth(self.token.expose());
        let unreachable = |source| ClientError::Unreachable { url, source };
        let mut response = request.send().await.map_err(unreachable.clone())?;
        let status = response.status();
        if status.is_success() {
            return Ok(Lines { response, waiting: Vec::new(), most });
        }
        let body = read(&mut response).await.map_err(unreachable)?.ok_or(ClientError::TooLarge)?;
        Err(refusal(status, &body))
    }

    /// Deletes what is under `/v1/` and these segments.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn delete<T: DeserializeOwned>(&self, segments: &[&str]) -> Result<T, ClientError> {
        let url = self.url(segments)?;
        self.answer(self.http.delete(url.clone()), url).await
    }

    /// As [`Self::delete`], with this query.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn delete_with<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        query: &str,
    ) -> Result<T, ClientError> {
        let url = self.url_with(segments, query)?;
        self.answer(self.http.delete(url.clone()), url).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        url: Url,
        document: &impl Serialize,
    ) -> Result<T, ClientError> {
        let request = self.http.request(method, url.clone()).timeout(ASKING_TIMEOUT).json(document);
        self.answer(request, url).await
    }

    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder, url: Url) -> Result<T, ClientError> {
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

    fn url_with(&self, segments: &[&str], query: &str) -> Result<Url, ClientError> {
        let mut url = self.url(segments)?;
        url.set_query(Some(query));
        Ok(url)
    }

    fn url(&self, segments: &[&str]) -> Result<Url, ClientError> {
        // They would be taken out of the path, and another page asked for.
        if let Some(segment) = segments.iter().find(|segment| matches!(**segment, "" | "." | "..")) {
            return Err(ClientError::Segment((*segment).to_owned()));
        }
        let mut url = self.base.clone();
        // `cannot_be_a_base` was ruled out on the way in, but a URL says so only by an empty error.
        let mut path = url.path_segments_mut().map_err(|()| ClientError::Address(self.base.clone()))?;
        path.pop_if_empty().push("v1").extend(segments);
        drop(path);
        Ok(url)
    }
}

/// Lines as they come.
pub struct Lines {
    response: Response,
    waiting: Vec<u8>,
    most: usize,
}

impl Lines {
    /// The next line without its end; none when the connection has ended.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = self.waiting.iter().position(|&byte| byte == b'\n') {
                let mut line: Vec<u8> = self.waiting.drain(..=end).collect();
                line.pop();
                return Some(line);
            }
            let chunk = self.response.chunk().await.ok().flatten()?;
            self.waiting.extend_from_slice(&chunk);
            if self.waiting.len() > self.most && !self.waiting.contains(&b'\n') {
                return None;
            }
        }
    }
}

/// The body, or none if it is over [`MAX_ANSWER`].
async fn read(response: &mut Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_ANSWER {
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

/// Why the admin API gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is none that HTTP knows.
    #[error("`{0}` is not the address of an API")]
    Address(Url),
    /// What was given cannot be part of a path.
    #[error("`{0}` is no id and no name")]
    Segment(String),
    /// TLS could not be set up.
    #[error("cannot make an HTTP client")]
    Client(#[source] reqwest::Error),
    /// Nobody answered.
    #[error("no answer from {url}")]
    Unreachable {
        /// What was asked for.
        url: Url,
        /// Why there was no answer.
        source: reqwest::Error,
    },
    /// The API refused and said why.
    #[error("{}{}", .0.title, .0.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default())]
    Refused(Problem),
    /// Something that is not the API answered.
    #[error("answered with {0} and no problem document: is this the admin API?")]
    Status(StatusCode),
    /// The answer is over the limit.
    #[error("the answer is larger than {MAX_ANSWER} bytes")]
    TooLarge,
    /// The answer is not what was asked for.
    #[error("the answer is not what this version expects")]
    Answer(#[source] serde_json::Error),
}

impl ClientError {
    /// Whether what was asked, or how, is wrong, and asking again cannot help.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Address(_) | Self::Segment(_) => true,
            Self::Refused(problem) => problem.status == StatusCode::UNAUTHORIZED.as_u16(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_path_would_swallow_is_no_id() {
        // Other tests may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let base = Url::parse("http://127.0.0.1:8400").unwrap();
        let api = Client::new(base, Secret::new("t")).unwrap();
        assert_eq!(api.url(&["events", "a/b"]).unwrap().path(), "/v1/events/a%2Fb");
        for id in ["", ".", ".."] {
            assert!(matches!(api.url(&["events", id]), Err(ClientError::Segment(_))), "{id}");
        }
    }
}
