//! Asks a server for its time, which is part of its answer to a stream info request.

use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::Context;
use async_nats::jetstream::response::Response;
use async_nats::{Client, Request};
use serde::Deserialize;
use time::OffsetDateTime;
use tokio::time::sleep;

use super::{Clock, ClockId};

/// How often a server is asked, once the time is known.
const EVERY: Duration = Duration::from_secs(5);
/// How often a server is asked until the time is known.
const SOON: Duration = Duration::from_millis(500);
/// An answer that takes longer is ignored, because it may be off by the time that it took.
const LONGEST_WAY: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Answer {
    #[serde(with = "time::serde::rfc3339")]
    ts: OffsetDateTime,
}

/// Asks a server for its time, again and again, and gives the readings to `clock`. Never returns. `stream` is
/// any stream of the server.
pub async fn follow(clock: Clock, who: ClockId, context: Context, stream: String) {
    let client = context.client();
    let subject = format!("$JS.API.STREAM.INFO.{stream}");
    loop {
        let asked = clock.monotonic();
        let answer = ask(&client, &subject).await;
        let took = clock.monotonic().saturating_sub(asked);
        if let Some(at_us) = answer.filter(|_| took <= LONGEST_WAY) {
            clock.observe(who.clone(), at_us, asked + took / 2);
        }
        sleep(if clock.votes().is_set() { EVERY } else { SOON }).await;
    }
}

/// Asks once. None if there is no answer; the next one will do.
async fn ask(client: &Client, subject: &str) -> Option<u64> {
    if client.connection_state() != State::Connected {
        return None;
    }
    // The request has an inbox of its own. The client would keep an entry for each request without an answer.
    let request = Request::new().inbox(client.new_inbox()).timeout(Some(LONGEST_WAY));
    let answer = client.send_request(subject.to_owned(), request).await.ok()?;
    match serde_json::from_slice(&answer.payload).ok()? {
        Response::Ok(Answer { ts }) => u64::try_from(ts.unix_timestamp_nanos() / 1_000).ok(),
        Response::Err { .. } => None,
    }
}
