//! Sends signed requests to consumers over HTTP and returns their answers.
//!
//! Every connection goes past the guard against private addresses (`floodgate-egress`), for names as well as
//! for literal addresses. Redirects are not followed, and no proxy of the environment is used. Nothing is
//! written here: an answer that is not recorded before a crash is lost, and the attempt is repeated.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use floodgate_clock::Clock;
use floodgate_egress::{Refused, SsrfGuard};
use floodgate_event::LogRate;
use floodgate_routes::Destination;
use reqwest::Client;
use rustls::ClientConfig;

use super::outcome::{Answer, retry_after};
use super::webhook::SignedRequest;

/// The most of an answer's body that is read, in bytes.
const MAX_RESPONSE: usize = 20 * 1024;
/// The longest wait for a connection, including name resolution and TLS.
const MAX_CONNECT: Duration = Duration::from_secs(10);
/// The most of an attempt's time that connecting may take. It is less than all of it, so that a time-out
/// while connecting can be told from one while the consumer works: only after the latter may the event have
/// arrived.
const CONNECT_SHARE: f64 = 0.8;
/// How long an idle connection is kept open.
const IDLE: Duration = Duration::from_secs(60);
/// The longest error text that is recorded, in bytes.
const MAX_ERROR: usize = 512;

/// What the clients of all destinations share: TLS settings, address guard and clock.
#[derive(Clone)]
pub(crate) struct Transport {
    guard: SsrfGuard,
    clock: Clock,
    tls: ClientConfig,
}

impl Transport {
    /// Sets up TLS with ring. Consumers' certificates are checked against the system's roots.
    pub(crate) fn new(guard: SsrfGuard, clock: Clock) -> Result<Self, rustls::Error> {
        let tls = floodgate_egress::tls()?;
        Ok(Self { guard, clock, tls })
    }

    /// Makes the client of a destination. Each has its own connections, so that no destination waits for
    /// another's.
    pub(crate) fn client(&self, destination: Arc<Destination>) -> Result<ConsumerClient, reqwest::Error> {
        let client = floodgate_egress::client(&self.guard, self.tls.clone())
            .connect_timeout(destination.timeout.mul_f64(CONNECT_SHARE).min(MAX_CONNECT))
            .timeout(destination.timeout)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(destination.concurrency.get().into())
            .build()?;
        let (guard, clock) = (self.guard.clone(), self.clock.clone());
        Ok(ConsumerClient { client, guard, clock, destination, dead_lines: Arc::default() })
    }
}

/// Sends requests to one destination, by its settings at one revision.
#[derive(Clone)]
pub(crate) struct ConsumerClient {
    client: Client,
    guard: SsrfGuard,
    clock: Clock,
    pub(crate) destination: Arc<Destination>,
    /// Limits the lines about dead deliveries.
    pub(crate) dead_lines: Arc<LogRate>,
}

impl ConsumerClient {
    /// Posts a request, within the destination's time-out.
    pub(crate) async fn post(&self, signed: SignedRequest) -> Answer {
        if let Err(refused) = self.guard.check_literal(&self.destination.url) {
            return Answer::NoResponse { sent: false, error: refused.to_string() };
        }
        let request = self.client.post(self.destination.url.clone());
        match request.headers(signed.headers).body(signed.body).send().await {
            Ok(response) => answer(response, self.clock.now()).await,
            Err(error) => no_answer(&error),
        }
    }
}

/// Reads a response. Its status decides, even if the body breaks off.
async fn answer(mut response: reqwest::Response, now: SystemTime) -> Answer {
    let status = response.status();
    let retry_after = retry_after(response.headers(), now);
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = MAX_RESPONSE - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() >= room {
            break;
        }
    }
    Answer::Response { status, body, retry_after }
}

fn no_answer(error: &reqwest::Error) -> Answer {
    let sent = !(error.is_connect() || error.is_builder());
    Answer::NoResponse { sent, error: explain(error) }
}

/// Describes an error without its URL, which may hold a secret.
fn explain(error: &reqwest::Error) -> String {
    let causes = || std::iter::successors(error.source(), |&cause| cause.source());
    if let Some(refused) = causes().find_map(|cause| cause.downcast_ref::<Refused>()) {
        return refused.to_string();
    }
    let what = match (error.is_timeout(), error.is_connect()) {
        (true, true) => "no connection in time",
        (true, false) => "no answer in time",
        (false, true) => "no connection",
        (false, false) => "the connection broke",
    };
    let mut text = causes().last().map_or_else(|| what.to_owned(), |root| format!("{what}: {root}"));
    text.truncate(text.floor_char_boundary(MAX_ERROR));
    text
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use floodgate_event::schedule::RetrySchedule;
    use http::HeaderMap;

    use super::*;
    use floodgate_routes::Subscription;

    async fn post(url: &str, allowed: &[&str]) -> Answer {
        let destination = Destination {
            name: "shop".parse().unwrap(),
            url: url.parse().unwrap(),
            subscribe: Subscription::default(),
            keys: Vec::new(),
            timeout: Duration::from_secs(5),
            concurrency: 1.try_into().unwrap(),
            rate_per_second: None,
            retry: RetrySchedule::default(),
            original_headers: false,
            enabled: true,
            secrets_error: None,
            paused: false,
            create_revision: 0,
            mod_revision: 0,
        };
        let guard = SsrfGuard::new(allowed.iter().map(|network| network.parse().unwrap()).collect());
        let client = Transport::new(guard, Clock::new(None)).unwrap().client(Arc::new(destination)).unwrap();
        client.post(SignedRequest { headers: HeaderMap::new(), body: Bytes::new() }).await
    }

    fn error(answer: &Answer) -> &str {
        match answer {
            Answer::NoResponse { sent: false, error } => error,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn names_and_literals_that_lead_inside_are_refused() {
        for url in ["http://localhost:9/", "http://127.0.0.1:9/", "https://[::1]:9/"] {
            let answer = post(url, &[]).await;
            assert!(error(&answer).contains("is not a public address"), "{url}: {answer:?}");
        }
    }

    #[tokio::test]
    async fn errors_name_the_cause_and_not_the_url() {
        let answer = post("http://127.0.0.1:1/?token=secret", &["127.0.0.0/8"]).await;
        assert!(error(&answer).starts_with("no connection: "), "{answer:?}");
        assert!(!error(&answer).contains("secret"));
    }
}
