//! Schemes with keys, and requests to them.

use floodgate_event::Secret;
use floodgate_event::scheme::{Form, Settings, Template, Timestamp, TimestampAt, Unit};
use floodgate_schemes::{
    Failure, InvalidSettings, NamedSecret, NoPublishedKeys, Received, Request, Scheme, Unsigned,
};
use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) const URL: &str = "https://hooks.example/in/source";
pub(crate) const NOW: u64 = 1_800_000_000;

/// A key in the form that the preset asks for.
pub(crate) fn secret(preset: &str) -> &'static str {
    match preset {
        "standard" | "svix" => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "adyen" | "adyen-platform" => "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056",
        "basic" => "user:pass:word",
        "token" => "0c1f6f7c5be24b0f9a5c7d2f8e3b1a64",
        _ => "a secret+",
    }
}

/// The settings that the preset needs.
pub(crate) fn settings(preset: &str) -> Settings {
    let signs_url =
        matches!(preset, "hubspot" | "hubspot-v2" | "square" | "twilio" | "twilio-shared-key" | "signed");
    let template = Template {
        form: Form::Pairs { separator: ';', name: "sig".to_owned() },
        content: "{id}:{timestamp}:{method}:{url}:{body}".to_owned(),
        timestamp: Some(Timestamp { at: TimestampAt::Pair("at".to_owned()), unit: Unit::Seconds }),
        id_header: Some("x-id".to_owned()),
        ..Template::hmac_sha256("x-signature")
    };
    Settings {
        url: signs_url.then(|| URL.to_owned()),
        signature: (preset == "signed").then_some(template),
        ..Settings::default()
    }
}

pub(crate) fn named(secrets: &[&str]) -> Vec<NamedSecret> {
    let named = |(number, text): (usize, &&str)| NamedSecret {
        id: format!("key-{number}"),
        secret: Secret::new((*text).to_owned()),
    };
    secrets.iter().enumerate().map(named).collect()
}

pub(crate) fn try_scheme(
    preset: &str,
    settings: &Settings,
    secrets: &[&str],
) -> Result<Scheme, InvalidSettings> {
    Scheme::new(preset, settings, named(secrets))
}

/// The preset with its key.
pub(crate) fn scheme(preset: &str) -> Scheme {
    with_secrets(preset, &[secret(preset)])
}

pub(crate) fn with_secrets(preset: &str, secrets: &[&str]) -> Scheme {
    try_scheme(preset, &settings(preset), secrets).unwrap()
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) method: &'static str,
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) now: u64,
}

/// A POST of JSON.
pub(crate) fn post(body: impl Into<Vec<u8>>) -> Sent {
    let sent =
        Sent { method: "POST", url: URL.to_owned(), headers: HeaderMap::new(), body: body.into(), now: NOW };
    sent.header("content-type", "application/json")
}

impl Sent {
    /// Sets a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        self
    }

    /// Adds a header to those of its name.
    pub(crate) fn another(mut self, name: &str, value: &str) -> Self {
        self.headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        self
    }

    pub(crate) fn query(mut self, query: &str) -> Self {
        self.url = format!("{URL}?{query}");
        self
    }

    pub(crate) fn content(&self, scheme: &Scheme) -> Option<Vec<u8>> {
        scheme.content(&self.request())
    }

    /// Signs it; none if the scheme cannot.
    pub(crate) fn signed(&self, scheme: &Scheme) -> Option<Self> {
        let signed = scheme.sign(&Unsigned {
            method: self.method,
            url: &self.url,
            headers: &self.headers,
            body: &self.body,
            id: "msg_1",
            now: self.now,
        })?;
        let mut sent = self.clone();
        sent.headers.extend(signed.headers);
        sent.body = signed.body.unwrap_or(sent.body);
        sent.url = signed.url.unwrap_or(sent.url);
        Some(sent)
    }

    pub(crate) fn received<'s>(&self, scheme: &'s Scheme) -> Result<Received<'s>, Failure> {
        scheme.require(self.method, &self.headers)?;
        scheme.receive(&self.request())
    }

    fn request(&self) -> Request<'_> {
        Request {
            method: self.method,
            url: &self.url,
            headers: &self.headers,
            body: &self.body,
            now: self.now,
            published: &NoPublishedKeys,
            client: None,
        }
    }

    /// The key that signed.
    pub(crate) fn key<'s>(&self, scheme: &'s Scheme) -> Result<&'s str, Failure> {
        match self.received(scheme)? {
            Received::Event(key) => Ok(key),
            Received::Handshake(answer) => panic!("{answer:?}"),
        }
    }

    /// Another value of a header, if a header can have it.
    pub(crate) fn with_value(&self, name: &HeaderName, value: &[u8]) -> Option<Self> {
        let mut sent = self.clone();
        sent.headers.insert(name, HeaderValue::from_bytes(value).ok()?);
        Some(sent)
    }
}
