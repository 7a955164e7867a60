//! Fetches the keys that addresses publish.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use floodgate_egress::SsrfGuard;
use floodgate_event::{LogRate, Name, causes};
use floodgate_schemes::Fetch;
use futures::StreamExt as _;
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use ipnet::IpNet;
use reqwest::header::{CACHE_CONTROL, CONTENT_TYPE};
use reqwest::{Client, Response, Url};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use super::{Published, Wanted};

/// The longest that a fetch may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer of an address, in bytes.
const MAX_BYTES: usize = 256 * 1_024;
/// The most fetches at a time.
const AT_A_TIME: usize = 4;
/// How often the addresses that sources name are checked for keys that have to be fetched.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long keys are used if the answer does not say, and the bounds for an answer that does.
const LIFETIME: Duration = Duration::from_secs(3_600);
const SHORTEST: Duration = Duration::from_secs(300);
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// Lists the addresses that sources name.
pub trait Following: Send + Sync + 'static {
    /// Returns the addresses in the configuration that is served now.
    fn addresses(&self) -> Vec<Wanted>;
}

impl<F: Following> Following for Arc<F> {
    fn addresses(&self) -> Vec<Wanted> {
        F::addresses(self)
    }
}

/// Fetches what requests wait for, and ahead of time what sources name.
pub struct Fetcher<F> {
    published: Published,
    wanted: mpsc::Receiver<Wanted>,
    following: F,
    client: Client,
    guard: SsrfGuard,
    /// Limits, for each source, the fetches of addresses that only requests name.
    limiter: DefaultKeyedRateLimiter<Name>,
    failures: Arc<LogRate>,
}

impl<F: Following> Fetcher<F> {
    /// Makes a fetcher that reaches public addresses and these networks. Also returns where it puts the keys.
    ///
    /// # Errors
    /// If TLS does not start.
    pub fn new(allow_networks: Vec<IpNet>, following: F) -> Result<(Self, Published), NoClient> {
        let guard = SsrfGuard::new(allow_networks);
        let client = floodgate_egress::client(&guard, floodgate_egress::tls()?)
            .https_only(true)
            .timeout(TIMEOUT)
            .build()?;
        let (published, wanted) = Published::new();
        let fetcher = Self {
            published: published.clone(),
            wanted,
            following,
            client,
            guard,
            limiter: RateLimiter::keyed(PER_MINUTE),
            failures: Arc::new(LogRate::new()),
        };
        Ok((fetcher, published))
    }

    /// Makes a confirmer, which uses the same client.
    pub fn confirmer(&self) -> Confirmer {
        let limiter = Arc::new(RateLimiter::direct(PER_MINUTE));
        Confirmer { client: self.client.clone(), guard: self.guard.clone(), limiter }
    }

    /// Fetches until it is dropped.
    pub async fn run(mut self) {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut under_way = JoinSet::new();
        let mut asked = BTreeSet::new();
        loop {
            tokio::select! {
                Some(done) = under_way.join_next() => match done {
                    Ok(address) => drop(asked.remove(&address)),
                    // The task panicked, and its address is unknown. Fetching another one twice does no harm.
                    Err(_) => asked.clear(),
                },
                Some(wanted) = self.wanted.recv(), if under_way.len() < AT_A_TIME => {
                    let is_new = !self.published.was_tried(&wanted.address) && !asked.contains(&wanted.address);
                    if is_new && self.limiter.check_key(&wanted.source).is_ok() {
                        asked.insert(wanted.address.clone());
                        under_way.spawn(self.fetch(wanted));
                    }
                }
                _ = look.tick() => {
                    self.limiter.retain_recent();
                    for wanted in self.ahead() {
                        if under_way.len() < AT_A_TIME && asked.insert(wanted.address.clone()) {
                            under_way.spawn(self.fetch(wanted));
                        }
                    }
                }
            }
        }
    }

    /// Returns what to fetch before a request asks for it.
    fn ahead(&self) -> Vec<Wanted> {
        let named = self.following.addresses().into_iter();
        let due = named.filter(|wanted| self.published.is_due(&wanted.address));
        due.chain(self.published.used_and_due()).collect()
    }

    /// Fetches one address, and returns its name.
    fn fetch(&self, wanted: Wanted) -> impl Future<Output = String> + use<F> {
        let (published, client, guard) = (self.published.clone(), self.client.clone(), self.guard.clone());
        let failures = Arc::clone(&self.failures);
        async move {
            let address = wanted.address.clone();
            let found = keys(&client, &guard, &wanted).await;
            if let Err(error) = &found
                && let Some(left_out) = failures.admit()
            {
                let reason = causes::chain(error);
                warn!(address, reason, left_out, "keys of a provider cannot be fetched");
            }
            published.learn(wanted, found.ok());
            address
        }
    }
}

async fn keys(
    client: &Client,
    guard: &SsrfGuard,
    wanted: &Wanted,
) -> Result<(Arc<[u8]>, Duration), FetchError> {
    let (bytes, lifetime) = get(client, guard, &wanted.fetch).await?;
    if wanted.scheme.is_key(&bytes) { Ok((bytes, lifetime)) } else { Err(FetchError::NoKeys) }
}

/// Confirms subscriptions, by a GET of the address that the provider sent. It shares the HTTP client of the
/// [`Fetcher`].
#[derive(Clone, Debug)]
pub struct Confirmer {
    client: Client,
    guard: SsrfGuard,
    limiter: Arc<DefaultDirectRateLimiter>,
}

impl Confirmer {
    /// Opens an address of the provider, which confirms a subscription there.
    ///
    /// # Errors
    /// If the address does not answer with success, or more than ten were opened within a minute: whoever has
    /// seen one request can send it again. The text says why, and leaves out the address, which is a secret
    /// until it is opened.
    pub async fn confirm(&self, address: &str) -> Result<(), String> {
        self.limiter.check().map_err(|_| "too many confirmations within a minute".to_owned())?;
        let fetch = Fetch { url: address.to_owned(), post: None };
        match get(&self.client, &self.guard, &fetch).await {
            Ok(_) => Ok(()),
            Err(FetchError::Http(error)) => Err(causes::chain(&error.without_url())),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The most fetches per minute of addresses that only requests name, for a source, and for confirmations.
const PER_MINUTE: Quota = Quota::per_minute(std::num::NonZeroU32::new(10).unwrap());

async fn get(client: &Client, guard: &SsrfGuard, fetch: &Fetch) -> Result<(Arc<[u8]>, Duration), FetchError> {
    let url = Url::parse(&fetch.url).map_err(|_| FetchError::Url)?;
    guard.check_literal(&url)?;
    let request = match &fetch.post {
        None => client.get(url),
        Some(json) => {
            client.post(url).header(CONTENT_TYPE, "application/json").body(json.expose().to_owned())
        }
    };
    let response = request.send().await?;
    if !response.status().is_success() {
        return Err(FetchError::Status(response.status().as_u16()));
    }
    let lifetime = lifetime(response.headers().get(CACHE_CONTROL).and_then(|value| value.to_str().ok()));
    Ok((body(response).await?, lifetime))
}

async fn body(response: Response) -> Result<Arc<[u8]>, FetchError> {
    let (mut bytes, mut pieces) = (Vec::new(), response.bytes_stream());
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        if bytes.len() + piece.len() > MAX_BYTES {
            return Err(FetchError::TooLarge);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.into())
}

/// Returns the lifetime of an answer: its `max-age`
/// ([RFC 9111 §5.2.2.1](https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.1)), within the bounds.
fn lifetime(cache_control: Option<&str>) -> Duration {
    let directives = cache_control.into_iter().flat_map(|text| text.split(','));
    let mut ages = directives.filter_map(|directive| directive.trim().strip_prefix("max-age="));
    let age = ages.next().and_then(|seconds| seconds.parse().ok()).map_or(LIFETIME, Duration::from_secs);
    age.clamp(SHORTEST, LONGEST)
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum NoClient {
    /// TLS does not start.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// The client refuses its settings.
    #[error(transparent)]
    Http(#[from] reqwest::Error),
}

/// Why fetching an address failed.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("the address is not a URL")]
    Url,
    #[error(transparent)]
    Refused(#[from] floodgate_egress::Refused),
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    #[error("the answer is {0}")]
    Status(u16),
    #[error("the answer holds no keys")]
    NoKeys,
    #[error("the answer is over {MAX_BYTES} bytes")]
    TooLarge,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_live_as_long_as_the_answer_says_within_bounds() {
        for (header, seconds) in [
            (None, 3_600),
            (Some("no-cache"), 3_600),
            (Some("public, max-age=600"), 600),
            (Some("max-age=0"), 300),
            (Some("max-age=99999999"), 86_400),
            (Some("max-age=x"), 3_600),
        ] {
            assert_eq!(lifetime(header), Duration::from_secs(seconds), "{header:?}");
        }
    }
}
