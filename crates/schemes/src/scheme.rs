//! A preset with the keys of one source.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use floodgate_event::ClientCertificates;
use floodgate_event::scheme::Settings;
use floodgate_event::source::Locator;
use http::HeaderMap;
use ipnet::IpNet;

use crate::client::Clients;
use crate::handshake::Context;
use crate::keys::Secrets;
use crate::verify::Verify;
use crate::{Answer, Failure, Fetch, InvalidSettings, Preset, Request, Signed, Unsigned};
use crate::{allow, presets};

/// A scheme that is ready for the requests of a source.
pub struct Scheme {
    preset: &'static Preset,
    settings: Settings,
    /// `None` until an operator has stored the secret that the provider chose.
    verify: Option<Box<dyn Verify>>,
    allow: Vec<IpNet>,
    /// The clients that may send, if only those with certificates may.
    clients: Option<Clients>,
    secrets: Secrets,
}

/// The settings that every scheme uses.
const FOR_EVERY_SCHEME: [&str; 3] = ["allow", "client_ca", "client_names"];

/// What a request turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<'k> {
    /// An event, with the id of the key that signed it.
    Event(&'k str),
    /// A handshake, with the answer to it.
    Handshake(Answer),
}

impl Scheme {
    /// Prepares a scheme, once per revision.
    ///
    /// # Errors
    /// If there is no such scheme, a setting or key does not fit it, or it would verify anything.
    pub fn new(name: &str, settings: &Settings, secrets: Secrets) -> Result<Self, InvalidSettings> {
        let unknown = || InvalidSettings::UnknownScheme(name.to_owned());
        let preset = presets::find(name).ok_or_else(unknown)?;
        Self::of(preset, settings, secrets)
    }

    /// Like [`Self::new`], for a preset that the caller has already.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of(
        preset: &'static Preset,
        settings: &Settings,
        secrets: Secrets,
    ) -> Result<Self, InvalidSettings> {
        check_used(preset, settings, &secrets)?;
        check_url(settings)?;
        let mut settings = settings.clone();
        settings.tolerance_seconds = settings.tolerance_seconds.or(preset.tolerance_seconds);
        let verify = match preset.signing.prepare(&settings, &secrets) {
            Err(InvalidSettings::NoKey) if preset.key_comes_later() => None,
            verify => Some(verify?),
        };
        let allow = allow::networks(&settings)?;
        let clients = Clients::prepare(&settings)?;
        Ok(Self { preset, settings, verify, allow, clients, secrets })
    }

    /// Returns the preset that the scheme was made of.
    pub fn preset(&self) -> &'static Preset {
        self.preset
    }

    /// Returns true if the settings let this address send. Pass the address that the listener saw: a sender
    /// can write anything into a header such as `X-Forwarded-For`.
    pub fn admits(&self, sender: IpAddr) -> bool {
        allow::contains(&self.allow, sender)
    }

    /// Returns true if only TLS clients with a certificate may send.
    pub fn needs_client_certificate(&self) -> bool {
        self.clients.is_some()
    }

    /// Refuses a client that has not the certificate that the settings ask for. [`Self::receive`] does the
    /// same. This is for refusing a request before its body is read.
    ///
    /// # Errors
    /// If there is no certificate, no authority of the source vouches for it, or it has another name.
    pub fn admits_client(&self, client: Option<&ClientCertificates>, now: u64) -> Result<(), Failure> {
        self.clients.as_ref().map_or(Ok(()), |clients| clients.verify(client, now).map(drop))
    }

    /// Returns the addresses of published keys that can be fetched ahead of the first request. Amazon SNS and
    /// PayPal have none: only their requests name the address.
    pub fn publishers(&self) -> Vec<&str> {
        self.verify.as_ref().map_or_else(Vec::new, |verify| verify.publishers())
    }

    /// Returns the request that gets what this address publishes. Returns `None` if the provider of this
    /// source does not publish keys there, or the source lacks the credentials. The caller must fetch no
    /// other address.
    pub fn fetch(&self, address: &str) -> Option<Fetch> {
        self.verify.as_ref()?.fetch(address)
    }

    /// Returns true if this can be what an address of [`Self::fetch`] publishes. A page of errors must not
    /// take the place of keys.
    pub fn is_key(&self, bytes: &[u8]) -> bool {
        self.verify.as_ref().is_some_and(|verify| verify.is_key(bytes))
    }

    /// Refuses a request without a signature before its body is read. A request that may be an unsigned
    /// handshake passes.
    ///
    /// # Errors
    /// If a header is missing, or cannot be read.
    pub fn require(&self, method: &str, headers: &HeaderMap) -> Result<(), Failure> {
        if self.preset.handshakes.iter().any(|handshake| handshake.is_unsigned(method)) {
            return Ok(());
        }
        self.require_headers(headers)
    }

    /// The same for a request that is no handshake.
    ///
    /// # Errors
    /// As [`Self::require`].
    pub(crate) fn require_headers(&self, headers: &HeaderMap) -> Result<(), Failure> {
        self.verify.as_ref().map_or(Ok(()), |verify| verify.require(headers))
    }

    /// Answers a request that is an unsigned handshake. Returns `None` for any other request.
    pub fn question(&self, request: &Request<'_>) -> Option<Result<Answer, Failure>> {
        let context = self.context(None);
        self.preset.handshakes.iter().find_map(|handshake| handshake.unsigned(request, &context))
    }

    /// Verifies a request. It is an event, or a handshake with its answer.
    ///
    /// # Errors
    /// If a step of the verification fails. The error is for the operator alone.
    pub fn receive(&self, request: &Request<'_>) -> Result<Received<'_>, Failure> {
        let url = url_of(&self.settings, request);
        let request = Request { url: &url, ..*request };
        self.admits_client(request.client, request.now)?;
        if let Some(answer) = self.question(&request) {
            return answer.map(Received::Handshake);
        }
        self.require_body(request.body)?;
        let Some(verify) = &self.verify else { return Err(Failure::NoMatch { keys: 0 }) };
        let key = verify.verify(&request)?;
        let context = self.context(Some(key));
        let mut handshakes = self.preset.handshakes.iter();
        let answer = handshakes.find_map(|handshake| handshake.signed(&request, &context)).transpose()?;
        Ok(answer.map_or(Received::Event(key), Received::Handshake))
    }

    fn context<'a>(&'a self, signed_by: Option<&'a str>) -> Context<'a> {
        Context { settings: &self.settings, secrets: &self.secrets, signed_by }
    }

    /// Refuses a body that a handshake would sign for anybody, and one that begins with none of the preset's
    /// characters. White space before it does not count, and neither does a body without anything else.
    fn require_body(&self, body: &[u8]) -> Result<(), Failure> {
        if self.preset.handshakes.iter().any(|handshake| handshake.signs(body)) {
            return Err(Failure::malformed("the body", "an event, not a token that a handshake signs"));
        }
        let allowed = self.preset.body_begins;
        let first = floodgate_json::without_bom(body).trim_ascii_start().first();
        if allowed.is_empty() || first.is_none_or(|first| allowed.as_bytes().contains(first)) {
            return Ok(());
        }
        let begins: Vec<String> = allowed.chars().map(|character| format!("`{character}`")).collect();
        Err(Failure::malformed("the body", format!("one that begins with {}", begins.join(" or "))))
    }

    /// Returns what decides whether two requests are the same event, or `None` if the bytes of the body
    /// decide: see [`Verify::content`]. Call it only for a request that [`Self::receive`] accepted.
    pub fn content(&self, request: &Request<'_>) -> Option<Vec<u8>> {
        let url = url_of(&self.settings, request);
        self.verify.as_ref()?.content(&Request { url: &url, ..*request })
    }

    /// Returns true if the signature covers the value at this place: see [`Verify::covers`].
    pub fn covers(&self, locator: &Locator) -> bool {
        self.verify.as_ref().is_some_and(|verify| verify.covers(locator))
    }

    /// Returns true if the header carries a secret in clear, and so is never stored: one of the
    /// preset's, or the one that the settings name.
    pub fn is_secret_header(&self, name: &str) -> bool {
        let configured = self.verify.as_ref().and_then(|verify| verify.secret_header());
        let mut all = self.preset.secret_headers.iter().copied().chain(configured);
        all.any(|secret| secret.eq_ignore_ascii_case(name))
    }

    /// Signs as the provider would, with the first secret. Returns `None` if the keys of the scheme only
    /// verify.
    pub fn sign(&self, message: &Unsigned<'_>) -> Option<Signed> {
        self.verify.as_ref()?.sign(message)
    }
}

/// Returns the URL that the provider was given, with the query of the request. The `Host` header does not
/// count, because the sender chooses it.
pub(crate) fn url_of<'r>(settings: &Settings, request: &Request<'r>) -> Cow<'r, str> {
    match (&settings.url, request.query()) {
        (None, _) => Cow::Borrowed(request.url),
        (Some(url), "") => Cow::Owned(url.clone()),
        (Some(url), query) => Cow::Owned(format!("{url}?{query}")),
    }
}

/// Refuses settings that the scheme does not use, because the operator would believe that they have an
/// effect. Every scheme uses those that say who may send.
fn check_used(preset: &Preset, settings: &Settings, secrets: &Secrets) -> Result<(), InvalidSettings> {
    let given = serde_json::to_value(settings).unwrap_or_default();
    let given = given.as_object().into_iter().flat_map(|given| given.keys().map(String::as_str));
    let secrets = (!secrets.is_empty()).then_some("secrets");
    let is_used = |name: &&str| FOR_EVERY_SCHEME.contains(name) || preset.uses.contains(name);
    let unused = given.chain(secrets).find(|name| !is_used(name));
    unused.map_or(Ok(()), |name| Err(InvalidSettings::Unused(name.to_owned())))
}

/// The query is the request's, and comes after.
fn check_url(settings: &Settings) -> Result<(), InvalidSettings> {
    let is_base = |url: &String| {
        let parsed = url::Url::parse(url);
        parsed.is_ok_and(|url| matches!(url.scheme(), "http" | "https")) && !url.contains(['?', '#'])
    };
    match &settings.url {
        Some(url) if !is_base(url) => Err(InvalidSettings::Setting {
            setting: "url",
            why: "expected a URL that begins with `https://` or `http://`, without a query".to_owned(),
        }),
        _ => Ok(()),
    }
}

impl fmt::Debug for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scheme").field(&self.preset.name).finish()
    }
}
