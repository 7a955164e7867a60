//! Requests to JetStream.

use std::time::Duration;

use async_nats::jetstream::response::Response;
use async_nats::{Client, Request, RequestError};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

/// Sends a request, and returns what JetStream answers `within` this time.
pub(crate) async fn ask<T: DeserializeOwned>(
    client: &Client,
    subject: String,
    request: Request,
    within: Duration,
) -> Result<T, AskError> {
    // An inbox of its own: the client would keep an entry for each request that is never answered.
    let request = request.inbox(client.new_inbox()).timeout(Some(within));
    // The time of the request itself begins once the client has taken it.
    let answer =
        timeout(within, client.send_request(subject, request)).await.map_err(|_| AskError::Late)??;
    match serde_json::from_slice(&answer.payload)? {
        Response::Ok(answer) => Ok(answer),
        Response::Err { error } => Err(AskError::Refused(error)),
    }
}

/// Why JetStream did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("no answer in time")]
    Late,
    #[error("{0}")]
    Request(#[from] RequestError),
    #[error("unreadable answer: {0}")]
    Answer(#[from] serde_json::Error),
    #[error("{0}")]
    Refused(#[source] async_nats::jetstream::Error),
}
