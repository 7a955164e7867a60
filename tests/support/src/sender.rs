//! A sender: posts signed webhooks to regions as a provider would.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Once;
use std::time::{Duration, SystemTime};

use reqwest::Method;
use serde::Deserialize;

use crate::deployment::Ready;
use crate::failure::Context;
use crate::sign::Signed;
use crate::{Failure, Result};

/// The longest that a provider waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Posts to the regions of a deployment.
#[derive(Clone)]
pub struct Sender {
    client: reqwest::Client,
    urls: BTreeMap<String, String>,
}

/// What a region answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The event's id, where the answer has one.
    pub id: Option<String>,
    /// `Retry-After`, where the answer has it.
    pub retry_after: Option<String>,
    /// The body, empty by default.
    pub body: String,
    /// When the answer had been read.
    pub finished: SystemTime,
}

impl Answer {
    /// The id of an event that was accepted.
    ///
    /// # Errors
    /// If it was not.
    pub fn accepted(&self) -> Result<&str> {
        match (self.status, &self.id) {
            (200..=299, Some(id)) => Ok(id),
            _ => Err(Failure::new(format!("expected a 2xx with an id, got {} {}", self.status, self.body))),
        }
    }
}

#[derive(Deserialize)]
struct Accepted {
    id: String,
}

impl Sender {
    /// For the regions of a ready file, trusting the deployment's own authority only.
    ///
    /// # Errors
    /// If the authority's certificate cannot be read.
    pub fn new(ready: &Ready) -> Result<Self> {
        let mut authorities = Vec::new();
        for region in ready.regions.values() {
            if let Some(path) = &region.ca {
                let pem = fs::read(path).during(format!("reading {}", path.display()))?;
                authorities.extend(reqwest::Certificate::from_pem_bundle(&pem)?);
            }
        }
        let client = client_builder().tls_certs_only(authorities).timeout(TIMEOUT).build()?;
        let urls = ready.regions.iter().map(|(name, region)| (name.clone(), region.url.clone())).collect();
        Ok(Self { client, urls })
    }

    /// Posts once.
    ///
    /// # Errors
    /// If no answer came.
    pub async fn post(&self, region: &str, request: &Signed) -> Result<Answer> {
        let url = self.urls.get(region).ok_or_else(|| Failure::new(format!("no region {region}")))?;
        let mut post = self.client.post(format!("{url}/in/{}", request.source)).body(request.body.clone());
        for (name, value) in &request.headers {
            post = post.header(*name, value);
        }
        let response = post.send().await?;
        let status = response.status().as_u16();
        let retry_after =
            response.headers().get("retry-after").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = response.text().await?;
        let id = serde_json::from_str::<Accepted>(&body).ok().map(|accepted| accepted.id);
        Ok(Answer { status, id, retry_after, body, finished: SystemTime::now() })
    }

    /// Sends any request to a path of a region, with its query.
    ///
    /// # Errors
    /// If no answer came.
    pub async fn send(&self, region: &str, path: &str, request: &Raw) -> Result<(u16, String)> {
        let url = self.urls.get(region).ok_or_else(|| Failure::new(format!("no region {region}")))?;
        let mut send = self.client.request(request.method.clone(), format!("{url}{path}"));
        for (name, value) in &request.headers {
            send = send.header(name, value);
        }
        let response = send.body(request.body.clone()).send().await?;
        Ok((response.status().as_u16(), response.text().await?))
    }

    /// The status of a GET, for `/readyz`.
    ///
    /// # Errors
    /// If no answer came.
    pub async fn get(&self, region: &str, path: &str) -> Result<u16> {
        let url = self.urls.get(region).ok_or_else(|| Failure::new(format!("no region {region}")))?;
        Ok(self.client.get(format!("{url}{path}")).send().await?.status().as_u16())
    }
}

/// A request of any kind.
#[derive(Clone, Debug, Default)]
pub struct Raw {
    /// The method, GET by default.
    pub method: Method,
    /// Header pairs.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

/// A client on the one TLS provider that this workspace uses.
pub(crate) fn client_builder() -> reqwest::ClientBuilder {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Fails only where one is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::builder()
}
