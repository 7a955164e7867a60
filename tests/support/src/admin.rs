//! The admin API, as any client sees it.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use crate::deployment::Ready;
use crate::failure::Context;
use crate::sender::client_builder;
use crate::{Failure, Result, wait};

/// For one request; an upload is compiled meanwhile.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Until a change is served by every region.
const SERVED_LIMIT: Duration = Duration::from_secs(30);

/// A client of the admin API.
#[derive(Clone)]
pub struct Admin {
    client: reqwest::Client,
    url: String,
    token: String,
}

/// `GET /v1/books`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Books {
    /// Whether Floodgate says that both balances hold and every region could be asked.
    pub balanced: bool,
    /// The balance of events.
    pub events: EventBalance,
    /// The balance of deliveries.
    pub deliveries: DeliveryBalance,
    /// Lanes of regions that could not be asked.
    pub unknown: Vec<Value>,
}

/// What became of the events that regions accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct EventBalance {
    /// Events in regional streams.
    pub accepted: u64,
    /// Stored in the central log.
    pub stored: u64,
    /// Known there already.
    pub duplicate: u64,
    /// Dropped by a handler.
    pub filtered: u64,
    /// Answered by a handler.
    pub responded: u64,
    /// Kept back because a handler failed.
    pub quarantined: u64,
    /// In regional streams and not yet in the log.
    pub in_transit: u64,
    /// Of the stored: matched to a destination.
    pub routed: u64,
    /// Of the stored: no destination subscribed to them.
    pub unmatched: u64,
    /// Of the stored: not matched yet.
    pub to_match: u64,
}

impl EventBalance {
    /// Accepted less everything that became of them: 0 where the books balance.
    pub fn difference(&self) -> i128 {
        let known =
            [self.stored, self.duplicate, self.filtered, self.responded, self.quarantined, self.in_transit];
        i128::from(self.accepted) - known.into_iter().map(i128::from).sum::<i128>()
    }

    /// Stored less how these events were routed.
    pub fn routing_difference(&self) -> i128 {
        let known = [self.routed, self.unmatched, self.to_match];
        i128::from(self.stored) - known.into_iter().map(i128::from).sum::<i128>()
    }
}

/// What became of the deliveries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct DeliveryBalance {
    /// Event and destination pairs.
    pub matched: u64,
    /// Answered by 2xx.
    pub delivered: u64,
    /// Given up after the last attempt.
    pub dead: u64,
    /// Given up because the destination went away.
    pub discarded: u64,
    /// Not yet any of these.
    pub pending: u64,
}

impl DeliveryBalance {
    /// Matched less everything that became of them: 0 where the books balance.
    pub fn difference(&self) -> i128 {
        let known = [self.delivered, self.dead, self.discarded, self.pending];
        i128::from(self.matched) - known.into_iter().map(i128::from).sum::<i128>()
    }
}

/// A status and a JSON body.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The body, null where it is not JSON.
    pub body: Value,
    /// The object's entity tag; empty where there is none.
    pub etag: String,
}

impl Admin {
    /// For a ready file.
    ///
    /// # Errors
    /// If no client can be made.
    pub fn new(ready: &Ready) -> Result<Self> {
        Self::at(ready.admin.url.clone(), ready.admin.token.clone())
    }

    /// For an API that the ready file does not name.
    ///
    /// # Errors
    /// If no client can be made.
    pub fn at(url: String, token: String) -> Result<Self> {
        let client = client_builder().tls_certs_only([]).timeout(TIMEOUT).build()?;
        Ok(Self { client, url, token })
    }

    /// Any request, with JSON or nothing as its body.
    ///
    /// # Errors
    /// If no answer came.
    pub async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Reply> {
        let mut request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        reply(request).await
    }

    /// As [`Self::request`], with one more header.
    ///
    /// # Errors
    /// If no answer came.
    pub async fn request_with(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        (header, value): (&'static str, &str),
    ) -> Result<Reply> {
        let request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        let request = request.header(header, value);
        reply(if let Some(body) = body { request.json(body) } else { request }).await
    }

    /// A GET that must succeed.
    ///
    /// # Errors
    /// If it does not.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.request(Method::GET, path, None).await?.succeeded().during(format!("GET {path}"))
    }

    /// A PUT that must succeed; waits until every region serves the revision that it made.
    ///
    /// # Errors
    /// If it does not.
    pub async fn put(&self, path: &str, document: &Value) -> Result<Value> {
        let made = self.request(Method::PUT, path, Some(document)).await?;
        let made = made.succeeded().during(format!("PUT {path}"))?;
        self.wait_served(&made).await?;
        Ok(made)
    }

    /// Uploads a handler's component.
    ///
    /// # Errors
    /// If no answer came.
    pub async fn upload(&self, name: &str, component: Vec<u8>) -> Result<Reply> {
        let url = format!("{}/v1/handlers/{name}", self.url);
        reply(self.client.put(url).bearer_auth(&self.token).body(component)).await
    }

    /// Waits until every gateway serves the revision of a write's answer.
    ///
    /// # Errors
    /// If one does not in time.
    pub async fn wait_served(&self, written: &Value) -> Result<()> {
        let revision =
            written["revision"].as_u64().ok_or_else(|| Failure::new(format!("no revision in {written}")))?;
        wait::until(format!("revision {revision} to be served everywhere"), SERVED_LIMIT, async || {
            let regions = self.get("/v1/regions").await?;
            Ok(serves(&regions, revision).then_some(()))
        })
        .await
    }

    /// The books.
    ///
    /// # Errors
    /// If they are not what the interface says.
    pub async fn books(&self) -> Result<Books> {
        let body = self.get("/v1/books").await?;
        serde_json::from_value(body.clone())
            .map_err(|error| Failure::from(error).during(format!("reading {body}")))
    }

    /// Waits until the books are as they must be at the end of a test: everything that was stored is matched
    /// (each event of a test has one destination), nothing is in transit or pending, and both balances hold.
    ///
    /// # Errors
    /// If that is not so at the limit, with the last books.
    pub async fn settled_books(&self, limit: Duration) -> Result<Books> {
        let mut last = None;
        let settled = wait::until("books that are settled and balance", limit, async || {
            let books = self.books().await?;
            last = Some(books.clone());
            Ok(books.is_settled().then_some(books))
        })
        .await;
        settled.during(format!("last books: {last:?}"))
    }
}

impl Reply {
    /// The body of an answer that is a success.
    ///
    /// # Errors
    /// If it is not.
    pub fn succeeded(self) -> Result<Value> {
        if self.status.is_success() {
            return Ok(self.body);
        }
        Err(Failure::new(format!("{} {}", self.status, self.body)))
    }
}

impl Books {
    /// Whether every balance holds, as far as regions could be asked.
    pub fn is_exact(&self) -> bool {
        let events = self.events.difference() == 0 || !self.unknown.is_empty();
        events && self.events.routing_difference() == 0 && self.deliveries.difference() == 0
    }

    fn is_settled(&self) -> bool {
        let balanced = self.balanced && self.is_exact();
        let in_work = self.events.in_transit + self.events.to_match + self.deliveries.pending;
        let done = in_work == 0;
        balanced && done && self.deliveries.matched == self.events.stored
    }
}

fn serves(regions: &Value, revision: u64) -> bool {
    let regions = regions["items"].as_array().map_or(&[][..], Vec::as_slice);
    let serves = |region: &Value| region["serving"].as_u64().is_some_and(|serving| serving >= revision);
    !regions.is_empty() && regions.iter().all(serves)
}

async fn reply(request: reqwest::RequestBuilder) -> Result<Reply> {
    let response = request.send().await?;
    let status = response.status();
    let etag =
        response.headers().get("etag").and_then(|tag| tag.to_str().ok()).unwrap_or_default().to_owned();
    let text = response.text().await?;
    Ok(Reply { status, body: serde_json::from_str(&text).unwrap_or(Value::Null), etag })
}
