//! Carries one request to a consumer, and brings back what it answered.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use floodgate_clock::Clock;
use floodgate_egress::{Refused, SsrfGuard};
use floodgate_event::LogRate;
use floodgate_routes::Destination;
use reqwest::{Client, redirect};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;

use super::outcome::{Answer, retry_after};
use super::request::Delivery;

/// The most of an answer's body that is read.
const MAX_RESPONSE: usize = 20 * 1024;
/// The longest wait for a connection, name resolution and TLS included.
const MAX_CONNECT: Duration = Duration::from_secs(10);
/// A connection takes at most this share of an attempt's time, so that running out of it while connecting is
/// told apart from running out of it while the consumer works.
const CONNECT_SHARE: f64 = 0.8;
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(60);
/// The longest error text that is kept, in bytes.
const MAX_ERROR: usize = 512;

/// Makes couriers; holds what they share.
#[derive(Clone)]
pub(crate) struct Dispatch {
    guard: SsrfGuard,
    clock: Clock,
    tls: ClientConfig,
}

impl Dispatch {
    /// TLS by ring, certificates checked against the system's roots.
    pub(crate) fn new(guard: SsrfGuard, clock: Clock) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let verified = builder.clone().with_platform_verifier();
        let mut tls = match verified {
            Ok(verified) => verified.with_no_client_auth(),
            Err(error) => {
                tracing::warn!(%error, "no root certificates on this host: no https destination will be trusted");
                builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
            }
        };
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { guard, clock, tls })
    }

    /// A courier of its own for each destination, so that none waits for another's connections.
    pub(crate) fn courier(&self, destination: Arc<Destination>) -> Result<Courier, reqwest::Error> {
        let client = Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .dns_resolver(Arc::new(self.guard.clone()))
            // A proxy of the environment would resolve names behind the guard's back.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(destination.timeout.mul_f64(CONNECT_SHARE).min(MAX_CONNECT))
            .timeout(destination.timeout)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(destination.concurrency.get().into())
            .build()?;
        let (guard, clock) = (self.guard.clone(), self.clock.clone());
        Ok(Courier { client, guard, clock, destination, deaths: Arc::default() })
    }
}

/// Carries requests to one destination.
#[derive(Clone)]
pub(crate) struct Courier {
    client: Client,
    guard: SsrfGuard,
    clock: Clock,
    pub(crate) destination: Arc<Destination>,
    /// Of the lines about its dead deliveries.
    pub(crate) deaths: Arc<LogRate>,
}

impl Courier {
    /// Posts a delivery, within the destination's timeout.
    pub(crate) async fn post(&self, delivery: Delivery) -> Answer {
        if let Err(refused) = self.guard.check_literal(&self.destination.url) {
            return Answer::None { sent: false, error: refused.to_string() };
        }
        let request = self.client.post(self.destination.url.clone());
        match request.headers(delivery.headers).body(delivery.body).send().await {
            Ok(response) => answer(response, self.clock.now()).await,
            Err(error) => no_answer(&error),
        }
    }
}

/// The status decides, even if the body breaks off after it.
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
    Answer::Status { status, response: body, retry_after }
}

fn no_answer(error: &reqwest::Error) -> Answer {
    let sent = !(error.is_connect() || error.is_builder());
    Answer::None { sent, error: explain(error) }
}

/// In words, without the URL: it may hold a secret.
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
            unopened: None,
            paused: false,
            created: 0,
            put: 0,
        };
        let guard = SsrfGuard::new(allowed.iter().map(|network| network.parse().unwrap()).collect());
        let courier = Dispatch::new(guard, Clock::new(None)).unwrap().courier(Arc::new(destination)).unwrap();
        courier.post(Delivery { headers: HeaderMap::new(), body: Bytes::new() }).await
    }

    fn error(answer: &Answer) -> &str {
        match answer {
            Answer::None { sent: false, error } => error,
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
