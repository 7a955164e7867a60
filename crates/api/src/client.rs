//! A client of the admin API, with a method for each endpoint. What it reads is bounded in time and size.

mod answer;
mod error;
mod lines;
mod request;

pub use answer::Answer;
pub use error::ClientError;
pub use lines::Lines;

use std::time::Duration;

use floodgate_event::{Name, Secret};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Method, redirect};
use serde_json::Value;
use url::Url;

use crate::answer::{Listed, Named, Put, Removed};
use crate::books::Books;
use crate::central::{AcceptDocument, Acceptance, Health};
use crate::document::{CanaryDocument, PromotionDocument, RollbackDocument, ShadowDocument};
use crate::event::{EventView, ListQuery, Quarantined};
use crate::paths::{self, Collection};
use crate::query::{WaitQuery, WriteQuery};
use crate::region::Distribution;
use crate::reject::{HeldReplay, HeldReplayDocument, Rejects, RejectsQuery};
use crate::replay::{Preview, Progress, ReplayDocument};
use crate::view::{Change, HandlerView, Promoted, ShownDestination, ShownHandler, Uploaded};

/// How long one request may take, including its answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A client of the admin API. Each method calls one endpoint. It fails if the API cannot be reached, refuses
/// the request, or gives an answer that the contract does not have.
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: Secret,
}

#[allow(clippy::missing_errors_doc, reason = "said once, of the client")]
impl Client {
    /// Makes a client for the API at this address. It follows no redirects, because the token is for this
    /// host alone.
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

    /// Lists the names of all sources, or of all destinations.
    pub async fn names(&self, of: Collection) -> Result<Listed<Named>, ClientError> {
        self.get(self.url(of.list(), None)?).await
    }

    /// Lists the destinations, with what waits for each.
    pub async fn destinations(&self) -> Result<Listed<ShownDestination>, ClientError> {
        self.get(self.url(paths::DESTINATIONS, None)?).await
    }

    /// Puts a source or a destination. The views before and after are returned as JSON, so that they can be
    /// compared field by field, including fields that only a later relay knows.
    pub async fn put(
        &self,
        to: Collection,
        name: &Name,
        document: &Value,
        query: WriteQuery,
    ) -> Result<Put<Value>, ClientError> {
        let url = self.url_with(to.object(), Some(name), &query)?;
        self.send(Method::PUT, url, document).await
    }

    /// Deletes a source or a destination.
    pub async fn delete(
        &self,
        from: Collection,
        name: &Name,
        query: WaitQuery,
    ) -> Result<Removed, ClientError> {
        self.remove(self.url_with(from.object(), Some(name), &query)?).await
    }

    /// Lists the handlers with their versions.
    pub async fn handlers(&self) -> Result<Listed<HandlerView>, ClientError> {
        self.get(self.url(paths::HANDLERS, None)?).await
    }

    /// Shows a handler, and how it does in the regions.
    pub async fn handler(&self, name: &Name) -> Result<Answer<ShownHandler>, ClientError> {
        self.get(self.url(paths::HANDLER, Some(name))?).await
    }

    /// Uploads a component with so many bytes. The request may take `timeout`, because the relay checks the
    /// component.
    pub async fn upload(
        &self,
        name: &Name,
        (component, length): (reqwest::Body, u64),
        timeout: Duration,
    ) -> Result<Uploaded, ClientError> {
        let url = self.url(paths::HANDLER, Some(name))?;
        let request = self.http.put(url.clone()).timeout(timeout).body(component);
        let typed = request.header(CONTENT_TYPE, "application/wasm").header(CONTENT_LENGTH, length);
        self.answer(typed, url).await
    }

    /// Makes a version the promoted one.
    pub async fn promote(
        &self,
        name: &Name,
        document: &PromotionDocument,
        query: WaitQuery,
    ) -> Result<Promoted, ClientError> {
        self.send(Method::POST, self.url_with(paths::PROMOTE, Some(name), &query)?, document).await
    }

    /// Ends the rollout that is under way. If there is none, promotes the version that was promoted before.
    pub async fn roll_back(&self, name: &Name, query: WaitQuery) -> Result<Promoted, ClientError> {
        let url = self.url_with(paths::ROLLBACK, Some(name), &query)?;
        self.send(Method::POST, url, &RollbackDocument {}).await
    }

    /// Runs a version on a share of the events, without effect.
    pub async fn shadow(
        &self,
        name: &Name,
        document: &ShadowDocument,
        query: WaitQuery,
    ) -> Result<Change, ClientError> {
        self.send(Method::POST, self.url_with(paths::SHADOW, Some(name), &query)?, document).await
    }

    /// Lets a version take over step by step.
    pub async fn canary(
        &self,
        name: &Name,
        document: &CanaryDocument,
        query: WaitQuery,
    ) -> Result<Change, ClientError> {
        self.send(Method::POST, self.url_with(paths::CANARY, Some(name), &query)?, document).await
    }

    /// Ends a shadow or a canary.
    pub async fn stop_rollout(&self, name: &Name, query: WaitQuery) -> Result<Change, ClientError> {
        self.remove(self.url_with(paths::ROLLOUT, Some(name), &query)?).await
    }

    /// Follows the lines that a handler logs. A line of more than `most` bytes ends the stream.
    pub async fn logs(&self, name: &Name, most: usize) -> Result<Lines, ClientError> {
        self.lines(self.url(paths::LOGS, Some(name))?, most).await
    }

    /// Returns the revision that each shard routes by, and those that each region has and serves.
    pub async fn regions(&self) -> Result<Distribution, ClientError> {
        self.get(self.url(paths::REGIONS, None)?).await
    }

    /// Lists a page of quarantined events, newest first.
    pub async fn events(&self, query: &ListQuery) -> Result<Quarantined, ClientError> {
        self.get(self.url_with(paths::EVENTS, None, query)?).await
    }

    /// Shows an event, by its own id or its provider's.
    pub async fn event(&self, id: &str) -> Result<Answer<EventView>, ClientError> {
        self.get(self.url(paths::EVENT, Some(id))?).await
    }

    /// Lists a page of refused requests.
    pub async fn rejects(&self, query: &RejectsQuery) -> Result<Rejects, ClientError> {
        self.get(self.url_with(paths::REJECTS, None, query)?).await
    }

    /// Starts a replay of held requests.
    pub async fn start_held_replay(&self, document: &HeldReplayDocument) -> Result<HeldReplay, ClientError> {
        self.send(Method::POST, self.url(paths::HELD_REPLAYS, None)?, document).await
    }

    /// Returns the progress of a replay of held requests.
    pub async fn held_replay(&self, id: &str) -> Result<HeldReplay, ClientError> {
        self.get(self.url(paths::HELD_REPLAY, Some(id))?).await
    }

    /// Cancels a replay of held requests.
    pub async fn cancel_held_replay(&self, id: &str) -> Result<HeldReplay, ClientError> {
        self.remove(self.url(paths::HELD_REPLAY, Some(id))?).await
    }

    /// Starts a replay. For a dry run, call [`Self::preview_replay`].
    pub async fn start_replay(&self, document: &ReplayDocument) -> Result<Progress, ClientError> {
        self.send(Method::POST, self.url(paths::REPLAYS, None)?, document).await
    }

    /// Returns what a replay would take. `document` must set `dry_run`.
    pub async fn preview_replay(&self, document: &ReplayDocument) -> Result<Preview, ClientError> {
        self.send(Method::POST, self.url(paths::REPLAYS, None)?, document).await
    }

    /// Returns the progress of a replay.
    pub async fn replay(&self, id: &str) -> Result<Progress, ClientError> {
        self.get(self.url(paths::REPLAY, Some(id))?).await
    }

    /// Cancels a replay. Events that gateways already have are completed.
    pub async fn cancel_replay(&self, id: &str) -> Result<Progress, ClientError> {
        self.remove(self.url(paths::REPLAY, Some(id))?).await
    }

    /// Returns the books, of all sources together and of each.
    pub async fn books(&self) -> Result<Answer<Books>, ClientError> {
        self.get(self.url(paths::BOOKS, None)?).await
    }

    /// Returns what needs attention, as far as the relay sees it. A relay of an earlier release has no such
    /// endpoint.
    pub async fn health(&self) -> Result<Health, ClientError> {
        self.get(self.url(paths::HEALTH, None)?).await
    }

    /// Accepts the loss of a stream of the centre.
    pub async fn accept_loss(&self, document: &AcceptDocument) -> Result<Answer<Acceptance>, ClientError> {
        self.send(Method::POST, self.url(paths::ACCEPT_LOSS, None)?, document).await
    }
}
