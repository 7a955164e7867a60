//! Checks a NATS server, with the rights of the program whose configuration names it.

use std::time::Duration;

use async_nats::{Client, Request};
use floodgate_stream::Connection;
use floodgate_stream::contract::MAX_MESSAGE_BYTES;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::finding::{Advice, Findings};
use super::{handshake, monitor};

/// How long a server may take to accept a client.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long a server may take to answer a request.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Checks the certificates of all servers, that one accepts this client, and its version and limits. Returns
/// false if it does not.
pub(super) async fn is_reached(label: &str, connection: &Connection, findings: &mut Findings) -> bool {
    handshake::check(label, connection.servers(), findings).await;
    if timeout(CONNECT_LIMIT, connection.until_up()).await.is_err() {
        let advice = Advice(
            "While it is away a gateway answers 503, and a relay copies nothing from there.",
            "look at the server, at the network between, and at the credentials (its log names refused ones)",
        );
        let found = format!("none within {} s", CONNECT_LIMIT.as_secs());
        findings.wrong("connection", label, found, advice);
        return false;
    }
    let info = connection.client().server_info();
    monitor::version(&info.server_name, &info.version, findings);
    if info.max_payload < MAX_MESSAGE_BYTES {
        let advice = Advice("The largest blocks are refused.", "set max_payload: 8MB");
        findings.wrong("max_payload", label, info.max_payload.to_string(), advice);
    }
    true
}

/// Asks JetStream's API. The error is a text for people.
pub(super) async fn ask<T: DeserializeOwned>(client: &Client, subject: String) -> Result<T, String> {
    // The request has an inbox of its own. The client would keep an entry for each request without an answer.
    let request = Request::new().inbox(client.new_inbox()).timeout(Some(ANSWER_LIMIT));
    let answer = client.send_request(subject, request).await.map_err(|error| error.to_string())?;
    match serde_json::from_slice(&answer.payload) {
        Ok(async_nats::jetstream::response::Response::Ok(answer)) => Ok(answer),
        Ok(async_nats::jetstream::response::Response::Err { error }) => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}
