//! A client of the relay's admin API.

mod local;

use std::env::{self, VarError};
use std::time::Duration;

use floodgate_event::secret::Unfit;
use floodgate_event::{Problem, Secret};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, redirect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use self::local::LocalError;
use crate::exit::Failure;

/// How long one request may take, its answer included.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The same of a change, for which the relay may have to ask handlers first.
const ASKING_TIMEOUT: Duration = Duration::from_secs(185);
/// How long lines may be followed: ten years.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 86_400);
/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Where the admin API is unless said otherwise.
const DEFAULT: &str = "http://127.0.0.1:8400";

/// Where the admin API is, and the right to use it.
#[derive(clap::Args)]
pub(crate) struct ApiArgs {
    /// The relay's admin API [env: FLOODGATE_API] [default: that of the `floodgate dev` that runs here, or
    /// http://127.0.0.1:8400]
    #[arg(long, value_name = "URL")]
    api: Option<Url>,
    /// The admin API's bearer token; other users of the machine can read arguments, so prefer the
    /// variable [env: FLOODGATE_TOKEN]
    ///
    /// Left out together with --api, both are taken from .floodgate/dev/ready.json
    /// in this folder or one above.
    #[arg(long, value_name = "TOKEN", value_parser = secret)]
    token: Option<Secret>,
}

// Read here and not by the parser: its messages name whatever has a value as if it were required.
const API_VARIABLE: &str = "FLOODGATE_API";
const TOKEN_VARIABLE: &str = "FLOODGATE_TOKEN";

/// A variable that is set to something.
fn variable(name: &'static str) -> Result<Option<String>, ApiError> {
    match env::var(name) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => Ok(Some(text)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(ApiError::Variable(name)),
    }
}

impl ApiArgs {
    /// Whether anything says where the API is, or with what right to ask it.
    pub(crate) fn is_given(&self) -> bool {
        let is_set = |name| env::var_os(name).is_some_and(|text| !text.is_empty());
        self.api.is_some() || self.token.is_some() || is_set(API_VARIABLE) || is_set(TOKEN_VARIABLE)
    }

    fn resolve(self) -> Result<(Url, Secret), ApiError> {
        let from_variable = |text: String| Url::parse(&text).map_err(|_| ApiError::Variable(API_VARIABLE));
        let api = match self.api {
            Some(api) => Some(api),
            None => variable(API_VARIABLE)?.map(from_variable).transpose()?,
        };
        let token = match self.token {
            Some(token) => Some(token),
            None => variable(TOKEN_VARIABLE)?.map(Secret::new),
        };
        Self { api, token }.locate()
    }

    /// Once the environment has been asked.
    fn locate(self) -> Result<(Url, Secret), ApiError> {
        match (self.api, self.token) {
            (api, Some(token)) => {
                let token = Secret::token_from_line(token.expose().into()).map_err(ApiError::Token)?;
                let default = || Url::parse(DEFAULT).map_err(|_| ApiError::NoToken);
                Ok((api.map_or_else(default, Ok)?, token))
            }
            (None, None) => local::find()?.ok_or(ApiError::NoToken),
            (Some(_), None) => Err(ApiError::NoToken),
        }
    }
}

/// What is wrong with it is said later: clap's own message would quote it.
fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

/// A client of the admin API.
pub(crate) struct Api {
    http: Client,
    base: Url,
    token: Secret,
}

impl Api {
    /// A client for this API. It follows no redirects: the token is for this host alone.
    ///
    /// # Errors
    /// If there is no token, the URL cannot have a path, or TLS cannot be set up.
    pub(crate) fn new(args: ApiArgs) -> Result<Self, ApiError> {
        let (base, token) = args.resolve()?;
        Self::at(base, token)
    }

    /// A client for the API at this address.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn at(base: Url, token: Secret) -> Result<Self, ApiError> {
        if base.cannot_be_a_base() {
            return Err(ApiError::Address(base));
        }
        let http = Client::builder().timeout(TIMEOUT).redirect(redirect::Policy::none()).build();
        Ok(Self { http: http.map_err(ApiError::Client)?, base, token })
    }

    /// Reads the document under `/v1/` and these segments, each of which is escaped as needed.
    ///
    /// # Errors
    /// If the API cannot be reached, refuses, or answers with something else than `T`.
    pub(crate) async fn get<T: DeserializeOwned>(&self, segments: &[&str]) -> Result<T, ApiError> {
        let url = self.url(segments)?;
        self.answer(self.http.get(url.clone()), url).await
    }

    /// Reads the document under `/v1/` and these segments, asked for with these parameters.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) async fn query<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        parameters: &[(&str, String)],
    ) -> Result<T, ApiError> {
        let mut url = self.url(segments)?;
        url.query_pairs_mut().extend_pairs(parameters);
        self.answer(self.http.get(url.clone()), url).await
    }

    /// Posts a document under `/v1/` and these segments.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        document: &impl Serialize,
    ) -> Result<T, ApiError> {
        self.send(Method::POST, self.url(segments)?, document).await
    }

    /// As [`Self::post`], with this query.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) async fn post_with<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        document: &impl Serialize,
        query: &str,
    ) -> Result<T, ApiError> {
        self.send(Method::POST, self.url_with(segments, query)?, document).await
    }

    /// Puts a document under `/v1/` and these segments, with this query:
    /// `dry_run=true` asks what that would do.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) async fn put<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        document: &impl Serialize,
        query: &str,
    ) -> Result<T, ApiError> {
        self.send(Method::PUT, self.url_with(segments, query)?, document).await
    }

    /// Puts bytes, given with their number, under `/v1/` and these segments; takes at most `timeout`.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) async fn upload<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        (body, length): (reqwest::Body, u64),
        timeout: Duration,
    ) -> Result<T, ApiError> {
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
    pub(crate) async fn lines(&self, segments: &[&str], most: usize) -> Result<Lines, ApiError> {
        let url = self.url(segments)?;
        let request = self.http.get(url.clone()).timeout(FOR_EVER).bearer_auth(self.token.expose());
        let unreachable = |source| ApiError::Unreachable { url, source };
        let mut response = request.send().await.map_err(unreachable.clone())?;
        let status = response.status();
        if status.is_success() {
            return Ok(Lines { response, waiting: Vec::new(), most });
        }
        let body = read(&mut response).await.map_err(unreachable)?.ok_or(ApiError::TooLarge)?;
        Err(refusal(status, &body))
    }

    /// Deletes what is under `/v1/` and these segments.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) async fn delete<T: DeserializeOwned>(&self, segments: &[&str]) -> Result<T, ApiError> {
        let url = self.url(segments)?;
        self.answer(self.http.delete(url.clone()), url).await
    }

    /// As [`Self::delete`], with this query.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) async fn delete_with<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        query: &str,
    ) -> Result<T, ApiError> {
        let url = self.url_with(segments, query)?;
        self.answer(self.http.delete(url.clone()), url).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        url: Url,
        document: &impl Serialize,
    ) -> Result<T, ApiError> {
        let request = self.http.request(method, url.clone()).timeout(ASKING_TIMEOUT).json(document);
        self.answer(request, url).await
    }

    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder, url: Url) -> Result<T, ApiError> {
        let sent = request.bearer_auth(self.token.expose()).send().await;
        let mut response = sent.map_err(|source| ApiError::Unreachable { url: url.clone(), source })?;
        let status = response.status();
        let body = read(&mut response).await.map_err(|source| ApiError::Unreachable { url, source })?;
        let body = body.ok_or(ApiError::TooLarge)?;
        if !status.is_success() {
            return Err(refusal(status, &body));
        }
        serde_json::from_slice(&body).map_err(ApiError::Answer)
    }

    fn url_with(&self, segments: &[&str], query: &str) -> Result<Url, ApiError> {
        let mut url = self.url(segments)?;
        url.set_query(Some(query));
        Ok(url)
    }

    fn url(&self, segments: &[&str]) -> Result<Url, ApiError> {
        // They would be taken out of the path, and another page asked for.
        if let Some(segment) = segments.iter().find(|segment| matches!(**segment, "" | "." | "..")) {
            return Err(ApiError::Segment((*segment).to_owned()));
        }
        let mut url = self.base.clone();
        // `cannot_be_a_base` was ruled out on the way in, but a URL says so only by an empty error.
        let mut path = url.path_segments_mut().map_err(|()| ApiError::Address(self.base.clone()))?;
        path.pop_if_empty().push("v1").extend(segments);
        drop(path);
        Ok(url)
    }
}

/// Lines as they come.
pub(crate) struct Lines {
    response: Response,
    waiting: Vec<u8>,
    most: usize,
}

impl Lines {
    /// The next line without its end; none when the connection has ended.
    pub(crate) async fn next(&mut self) -> Option<Vec<u8>> {
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

fn refusal(status: StatusCode, body: &[u8]) -> ApiError {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => ApiError::Refused(problem),
        Err(_) => ApiError::Status(status),
    }
}

/// Why the admin API gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// Nothing says with what right to ask.
    #[error(
        "no token: set FLOODGATE_TOKEN, and FLOODGATE_API if it is not {DEFAULT}, or run this where `floodgate dev` runs"
    )]
    NoToken,
    /// What was given cannot be a token.
    #[error("FLOODGATE_TOKEN or --token: {0}")]
    Token(Unfit),
    /// A variable of the environment says something else than it should.
    #[error("{0} is not what it should be: see --help")]
    Variable(&'static str),
    /// The deployment that runs here cannot be trusted to be one's own.
    #[error(transparent)]
    Local(#[from] LocalError),
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

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        match &error {
            ApiError::NoToken
            | ApiError::Token(_)
            | ApiError::Variable(_)
            | ApiError::Local(_)
            | ApiError::Address(_)
            | ApiError::Segment(_) => Self::usage(error),
            ApiError::Refused(problem) if problem.status == StatusCode::UNAUTHORIZED.as_u16() => {
                Self::usage(error)
            }
            _ => Self::work(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An argument with a value from the environment would be named in messages
    /// about others that are missing.
    #[test]
    fn what_is_missing_is_named_and_nothing_else() {
        let command = <crate::Cli as clap::CommandFactory>::command();
        let args: Vec<_> = ["floodgate", "events", "list"].into();
        let error = command.clone().try_get_matches_from(args).unwrap_err().to_string();
        assert!(error.contains("--status <STATUS>") && !error.contains("--api"), "{error}");
        let of_subcommands = command.get_subcommands().flat_map(clap::Command::get_subcommands);
        for argument in of_subcommands.flat_map(clap::Command::get_arguments) {
            assert_eq!(argument.get_env(), None, "{argument}");
        }
    }

    #[test]
    fn an_address_without_a_token_never_gets_that_of_another_deployment() {
        let args = ApiArgs { api: Some(Url::parse("https://floodgate.example").unwrap()), token: None };
        assert!(matches!(args.locate(), Err(ApiError::NoToken)));
        let args = ApiArgs { api: None, token: Some(Secret::new("t")) };
        assert_eq!(args.locate().unwrap().0.as_str(), "http://127.0.0.1:8400/");
    }

    #[test]
    fn a_token_loses_its_line_end_and_is_refused_with_anything_else() {
        let resolved = |token: &str| ApiArgs { api: None, token: Some(Secret::new(token)) }.locate();
        for token in ["t0ken", "t0ken\n", "t0ken\r\n"] {
            assert_eq!(resolved(token).unwrap().1.expose(), "t0ken", "{token:?}");
        }
        for token in
            ["", "\n", "t0ken ", "\tt0ken", "t0ken\u{a0}", "\u{feff}t0ken", "t0k\nen", "t0ken\0", "t0 ken"]
        {
            let refused = resolved(token).unwrap_err();
            assert!(matches!(refused, ApiError::Token(_)), "{token:?}");
            assert!(!refused.to_string().contains("t0"), "{refused}");
        }
    }

    #[test]
    fn what_a_path_would_swallow_is_no_id() {
        let args = ApiArgs { api: None, token: Some(Secret::new("t")) };
        // Other tests may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let api = Api::new(args).unwrap();
        assert_eq!(api.url(&["events", "a/b"]).unwrap().path(), "/v1/events/a%2Fb");
        for id in ["", ".", ".."] {
            assert!(matches!(api.url(&["events", id]), Err(ApiError::Segment(_))), "{id}");
        }
    }
}
