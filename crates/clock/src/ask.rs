//! Asking a server for its time: it puts that into whatever it says of a stream.

use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::Context;
use async_nats::jetstream::response::Response;
use async_nats::{Client, Request};
use serde::Deserialize;
use time::OffsetDateTime;
use tokio::time::sleep;

use super::{Clock, Who};

/// How often a server is asked.
const EVERY: Duration = Duration::from_secs(5);
/// The same until the time is known.
const SOON: Duration = Duration::from_millis(500);
/// An answer that takes longer says too little: the server's time may be any within it.
const LONGEST_WAY: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Answer {
    #[serde(with = "time::serde::rfc3339")]
    ts: OffsetDateTime,
}

/// Tells the clock what a server's shows, by asking about a stream, for as long as it is polled.
pub async fn follow(clock: Clock, who: Who, context: Context, stream: String) {
    let client = context.client();
    let subject = format!("$JS.API.STREAM.INFO.{stream}");
    loop {
        let asked = clock.monotonic();
        let answer = ask(&client, &subject).await;
        let took = clock.monotonic().saturating_sub(asked);
        if let Some(at_us) = answer.filter(|_| took <= LONGEST_WAY) {
            clock.heard(who.clone(), at_us, asked + took / 2);
        }
        sleep(if clock.votes().is_set() { EVERY } else { SOON }).await;
    }
}

/// `None` if there is no answer now; the next one is as good.
async fn ask(client: &Client, subject: &str) -> Option<u64> {
    if client.connection_state() != State::Connected {
        return None;
    }
    // An inbox of its own: the client would keep an entry for each question that is never answered.
    let request = Request::new().inbox(client.new_inbox()).timeout(Some(LONGEST_WAY));
    let answer = client.send_request(subject.to_owned(), request).await.ok()?;
    match serde_json::from_slice(&answer.payload).ok()? {
        Response::Ok(Answer { ts }) => u64::try_from(ts.unix_timestamp_nanos() / 1_000).ok(),
        Response::Err { .. } => None,
    }
}
