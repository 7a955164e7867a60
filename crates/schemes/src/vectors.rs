//! Test vectors: requests, and whether a scheme must accept them.

mod file;

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use floodgate_event::Secret;
use floodgate_event::scheme::Settings;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Answer, Failure, NamedSecret, PublishedKeys, Received, Request, Scheme, address, presets};

pub use self::file::{Verdict, judge};

/// A request, the keys to verify it with, and the expected result.
#[derive(Debug, Deserialize)]
pub struct Vector {
    /// The provider, as the file calls it.
    pub provider: String,
    /// The scheme, as the file calls it; see [`Vector::preset`].
    pub scheme: String,
    /// What the vector shows.
    pub name: String,
    /// `valid` or `invalid`. A file that expects nothing leaves it out.
    #[serde(default)]
    pub expect: Option<String>,
    #[serde(default)]
    secret: Option<OneOrMore>,
    #[serde(default)]
    public_key: Option<OneOrMore>,
    method: String,
    url: String,
    headers: BTreeMap<String, OneOrMore>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    body_b64: Option<String>,
    #[serde(default)]
    now: Option<u64>,
    #[serde(default)]
    tolerance: Option<u64>,
    #[serde(default)]
    params: Params,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Params {
    webhook_id: Option<String>,
    certificates: BTreeMap<String, String>,
    allowed_topic_arns: Vec<String>,
    /// Those of a provider that publishes keys. An empty one publishes none.
    jwks: Option<BTreeMap<String, Value>>,
    header: Option<String>,
    algorithm: Option<String>,
}

impl Params {
    /// Returns true if the keys are those that the provider publishes.
    fn publishes(&self) -> bool {
        !self.certificates.is_empty() || self.jwks.is_some()
    }
}

/// Names of schemes in files of vectors, each with the name of its preset where that is another.
const PRESETS: &[(&str, &str)] = &[
    ("adyen-header-hmac", "adyen-platform"),
    ("adyen-item-hmac", "adyen"),
    ("calendly-v1", "calendly"),
    ("discord-ed25519", "discord"),
    ("docusign-hmac", "docusign"),
    ("dropbox-hmac", "dropbox"),
    ("github-sha256", "github"),
    ("gitlab-token", "gitlab"),
    ("hub-signature-sha256", "bitbucket"),
    ("hubspot-v3", "hubspot"),
    ("intercom-sha1", "intercom"),
    ("linear-hmac", "linear"),
    ("meta-sha256", "meta"),
    ("msgraph-clientstate", "microsoft-graph"),
    ("notion-sha256", "notion"),
    ("paddle-h1", "paddle"),
    ("paypal-rsa", "paypal"),
    ("plaid-jwt", "plaid"),
    ("razorpay-hmac", "razorpay"),
    ("sendgrid-ecdsa-p256", "sendgrid"),
    ("shopify-hmac", "shopify"),
    ("slack-v0", "slack"),
    ("square-hmac", "square"),
    ("standard-webhooks-v1", "standard"),
    ("standard-webhooks-v1a", "standard"),
    ("static-header", "okta"),
    ("stripe-v1", "stripe"),
    ("svix-v1", "svix"),
    ("twitter-hmac", "x"),
    ("typeform-hmac", "typeform"),
    ("wise-rsa-sha256", "wise"),
    ("woocommerce-hmac", "woocommerce"),
    ("xero-hmac", "xero"),
    ("zoom-v0", "zoom"),
];

impl Vector {
    /// Returns the name of the preset that verifies this vector: that of its scheme, or else of its provider.
    pub fn preset(&self) -> &str {
        if self.scheme == "twilio" && self.params.algorithm.as_deref() == Some("HMAC_SHA256") {
            return "twilio-shared-key";
        }
        let mut named = PRESETS.iter();
        let preset = named.find(|(scheme, _)| *scheme == self.scheme).map(|(_, preset)| *preset);
        // A file may have names of its own for schemes.
        let mut names = [preset, Some(&*self.scheme), Some(&*self.provider)].into_iter().flatten();
        names.find(|name| presets::find(name).is_some()).unwrap_or(&self.scheme)
    }

    /// Verifies the request.
    ///
    /// # Errors
    /// If the request, the keys or the vector itself is refused. The text says why.
    pub fn verify(&self) -> Result<(), String> {
        self.answer().map(drop)
    }

    /// Verifies the request. Returns the answer if it is a handshake.
    ///
    /// # Errors
    /// If the request, the keys or the vector itself is refused. The text says why.
    pub fn answer(&self) -> Result<Option<Answer>, String> {
        let scheme = Scheme::new(self.preset(), &self.settings(), self.secrets());
        let scheme = scheme.map_err(|error| error.to_string())?;
        let kept = self.kept()?;
        let refused = |failure: Failure| format!("{}: {failure}", failure.step().as_str());
        match scheme.receive(&kept.request(self)).map_err(refused)? {
            Received::Handshake(answer) => Ok(Some(answer)),
            Received::Event(_) => Ok(None),
        }
    }

    /// What the request is made of.
    ///
    /// # Errors
    /// If the vector has no request.
    pub fn kept(&self) -> Result<Kept, String> {
        Ok(Kept { headers: self.headers()?, body: self.body()?, published: Published::new(&self.params) })
    }

    /// What a source of the vector's preset would be set to.
    pub fn settings(&self) -> Settings {
        let preset = presets::find(self.preset());
        let uses = |name: &str| preset.is_some_and(|preset| preset.uses.contains(&name));
        let base = self.url.split(['?', '#']).next().unwrap_or_default();
        Settings {
            tolerance_seconds: self.tolerance,
            // Keys that an address publishes are not pinned as well.
            public_keys: if self.params.publishes() { vec![] } else { all(self.public_key.as_ref()) },
            url: uses("url").then(|| base.to_owned()),
            confirm_subscriptions: uses("confirm_subscriptions"),
            header: self.params.header.clone(),
            webhook_id: self.params.webhook_id.clone(),
            topic_arns: self.params.allowed_topic_arns.clone(),
            ..Settings::default()
        }
    }

    /// The secrets of the vector, without its public keys.
    pub fn secrets(&self) -> Vec<NamedSecret> {
        let named = |(number, text)| NamedSecret { id: format!("{number}"), secret: Secret::new(text) };
        let mut secrets = all(self.secret.as_ref());
        if secrets.is_empty() && self.params.jwks.is_some() {
            // Plaid needs credentials to fetch keys. The vector has the keys already, so any will do.
            secrets.push("client_id:secret".to_owned());
        }
        secrets.into_iter().enumerate().map(named).collect()
    }

    fn headers(&self) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        for (name, values) in &self.headers {
            let name: HeaderName = name.parse().map_err(|_| format!("`{name}` is no header"))?;
            for value in all(Some(values)) {
                let value = HeaderValue::from_bytes(value.as_bytes());
                headers.append(&name, value.map_err(|_| format!("a value of {name} is none"))?);
            }
        }
        Ok(headers)
    }

    fn body(&self) -> Result<Vec<u8>, String> {
        match &self.body_b64 {
            Some(text) => BASE64.decode(text).map_err(|_| "`body_b64` is not base64".to_owned()),
            None => Ok(self.body.clone().into_bytes()),
        }
    }
}

fn all(values: Option<&OneOrMore>) -> Vec<String> {
    match values {
        None => vec![],
        Some(OneOrMore::One(one)) => vec![one.clone()],
        Some(OneOrMore::More(more)) => more.clone(),
    }
}

/// What the request of a vector is made of.
#[derive(Debug)]
pub struct Kept {
    headers: HeaderMap,
    body: Vec<u8>,
    published: Published,
}

impl Kept {
    /// The request of this vector.
    pub fn request<'a>(&'a self, vector: &'a Vector) -> Request<'a> {
        Request {
            method: &vector.method,
            url: &vector.url,
            headers: &self.headers,
            body: &self.body,
            now: vector.now.unwrap_or_default(),
            published: &self.published,
            client: None,
        }
    }
}

/// The keys that, by the vector, providers publish.
#[derive(Debug)]
struct Published(BTreeMap<String, Arc<[u8]>>);

impl Published {
    fn new(params: &Params) -> Self {
        let certificates = params.certificates.iter().map(|(url, pem)| (url.clone(), pem.clone()));
        // Plaid's answers, by the address of each key.
        let keys = params.jwks.iter().flatten().map(|(id, key)| {
            (address::plaid_key(address::PLAID_PRODUCTION, id), json!({ "key": key }).to_string())
        });
        Self(certificates.chain(keys).map(|(url, text)| (url, text.into_bytes().into())).collect())
    }
}

impl PublishedKeys for Published {
    fn get(&self, url: &str) -> Option<Arc<[u8]>> {
        self.0.get(url).cloned()
    }
}
