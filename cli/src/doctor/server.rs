//! A connection to a NATS server, with the rights of the program whose configuration names it.

use std::time::Duration;

use async_nats::{Client, Request};
use floodgate_stream::Link;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::finding::{Advice, Findings};
use super::monitor;

/// How long a server may take to let a client in.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long it may take to answer.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// What the largest block needs, in bytes.
pub(super) const LEAST_PAYLOAD: usize = 8 * 1024 * 1024;

/// Whether the server lets this client in, and what it says of itself then.
pub(super) async fn is_reached(label: &str, link: &Link, findings: &mut Findings) -> bool {
    if timeout(CONNECT_LIMIT, link.until_up()).await.is_err() {
        let advice = Advice(
            "While it is away a gateway answers 503, and a relay copies nothing from there.",
            "look at the server, at the network between, and at the credentials (its log names refused ones)",
        );
        let found = format!("none within {} s", CONNECT_LIMIT.as_secs());
        findings.wrong_is("connection", label, found, advice);
        return false;
    }
    let info = link.client().server_info();
    monitor::version(&info.server_name, &info.version, findings);
    if info.max_payload < LEAST_PAYLOAD {
        let advice = Advice("The largest blocks are refused.", "set max_payload: 8MB");
        findings.wrong_is("max_payload", label, info.max_payload.to_string(), advice);
    }
    true
}

/// Asks JetStream's API; the error is for people.
pub(super) async fn ask<T: DeserializeOwned>(client: &Client, subject: String) -> Result<T, String> {
    // An inbox of its own: the client would keep an entry for each question that is never answered.
    let request = Request::new().inbox(client.new_inbox()).timeout(Some(ANSWER_LIMIT));
    let answer = client.send_request(subject, request).await.map_err(|error| error.to_string())?;
    match serde_json::from_slice(&answer.payload) {
        Ok(async_nats::jetstream::response::Response::Ok(answer)) => Ok(answer),
        Ok(async_nats::jetstream::response::Response::Err { error }) => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}
