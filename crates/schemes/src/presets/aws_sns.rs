//! Amazon SNS over HTTPS. The signature is in the body, so a subscription with raw message delivery has none.

use std::borrow::Cow;

use floodgate_event::scheme::{Encoding, Settings};
use floodgate_event::source::Locator;
use http::HeaderMap;
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm,
};
use serde::Deserialize;

use crate::certificate::Certificate;
use crate::header::{require_fresh, rfc3339};
use crate::keys::{PUBLISHED, Secrets};
use crate::preset::{At, Preset, Signing};
use crate::verify::Verify;
use crate::{Failure, Fetch, Handshake, InvalidSettings, Request, address, digest};

/// The fields that are signed in messages of every type.
const SIGNED: [&str; 5] = ["/Message", "/MessageId", "/Timestamp", "/TopicArn", "/Type"];

pub(super) fn preset() -> Preset {
    Preset {
        signs_time: true,
        uses: &["topic_arns", "confirm_subscriptions"],
        body_begins: "{",
        documentation: "https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html",
        id: Some(At::Json("/MessageId")),
        event_type: Some(At::Json("/Type")),
        handshakes: &[Handshake::SnsConfirmation],
        ..Preset::coded("aws-sns", "Amazon SNS", Signing::Code(prepare))
    }
}

struct Sns {
    topics: Vec<String>,
    /// `None` unless the source sets it: a retry of SNS has the time of the first attempt.
    tolerance: Option<u64>,
}

fn prepare(settings: &Settings, _secrets: &Secrets) -> Result<Box<dyn Verify>, InvalidSettings> {
    let topics = settings.topic_arns.clone();
    if topics.is_empty() {
        let why = "anyone with an account at Amazon can have a message signed";
        return Err(InvalidSettings::Needs { setting: "topic_arns", why });
    }
    let is_arn = |topic: &String| topic.starts_with("arn:") && topic.contains(":sns:");
    if let Some(other) = topics.iter().find(|topic| !is_arn(topic)) {
        let why =
            format!("`{other}` is not the ARN of a topic: expected `arn:aws:sns:<region>:<account>:<name>`");
        return Err(InvalidSettings::Setting { setting: "topic_arns", why });
    }
    Ok(Box::new(Sns { topics, tolerance: settings.tolerance_seconds }))
}

/// The body. A second field of the same name is refused, because a consumer might read the one that is not
/// signed.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message<'b> {
    #[serde(borrow)]
    r#type: Cow<'b, str>,
    #[serde(borrow)]
    message: Cow<'b, str>,
    #[serde(borrow)]
    message_id: Cow<'b, str>,
    #[serde(borrow)]
    timestamp: Cow<'b, str>,
    #[serde(borrow)]
    topic_arn: Cow<'b, str>,
    #[serde(borrow)]
    signature: Cow<'b, str>,
    #[serde(borrow)]
    signature_version: Cow<'b, str>,
    #[serde(borrow, rename = "SigningCertURL")]
    certificate: Cow<'b, str>,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default, rename = "SubscribeURL")]
    subscribe_url: Option<String>,
    #[serde(default)]
    token: Option<String>,
}

impl Verify for Sns {
    /// Checks nothing: everything that is signed is in the body.
    fn require(&self, _headers: &HeaderMap) -> Result<(), Failure> {
        Ok(())
    }

    fn verify(&self, request: &Request<'_>) -> Result<&str, Failure> {
        let message: Message<'_> = serde_json::from_slice(request.body)
            .map_err(|_| Failure::malformed("the body", "a message of SNS, without raw message delivery"))?;
        let (algorithm, content) = (message.algorithm()?, message.content()?);
        let signature = digest::decode(Encoding::Base64, &message.signature);
        let signature = signature.ok_or_else(|| malformed("/Signature", "base64"))?;
        if let Some(tolerance) = self.tolerance {
            let signed = rfc3339(&message.timestamp).ok_or_else(|| malformed("/Timestamp", "a time"))?;
            require_fresh(signed, request.now, tolerance)?;
        }
        // First, because a certificate may have to be fetched, and anyone can name one.
        self.accept(&message)?;
        let certificate = certificate(request, &message.certificate)?;
        certificate.verify(algorithm, content.as_bytes(), &signature)?;
        Ok(PUBLISHED)
    }

    fn covers(&self, locator: &Locator) -> bool {
        matches!(locator, Locator::Json(pointer) if SIGNED.contains(&&**pointer))
    }

    /// Returns what is signed, without what may be beside it.
    fn content(&self, request: &Request<'_>) -> Option<Vec<u8>> {
        let message: Message<'_> = serde_json::from_slice(request.body).ok()?;
        message.content().ok().map(String::into_bytes)
    }

    fn is_key(&self, bytes: &[u8]) -> bool {
        Certificate::is_one(bytes)
    }

    fn fetch(&self, address: &str) -> Option<Fetch> {
        address::is_sns_certificate(address).then(|| Fetch { url: address.to_owned(), post: None })
    }
}

impl Sns {
    /// Refuses a message that SNS signed for somebody else.
    fn accept(&self, message: &Message<'_>) -> Result<(), Failure> {
        if !self.topics.iter().any(|topic| *topic == message.topic_arn) {
            return Err(Failure::NotAllowed { what: format!("the topic {}", message.topic_arn) });
        }
        // A topic's messages are signed in its region.
        let region = message.topic_arn.split(':').nth(3).unwrap_or_default();
        if !message.certificate.starts_with(&format!("https://sns.{region}.")) {
            return Err(Failure::ForeignKey(message.certificate.to_string()));
        }
        match &message.subscribe_url {
            Some(url) if !address::is_sns_subscription(url) => {
                Err(Failure::NotAllowed { what: format!("the SubscribeURL {url}") })
            }
            _ => Ok(()),
        }
    }
}

impl Message<'_> {
    fn algorithm(&self) -> Result<&'static dyn VerificationAlgorithm, Failure> {
        match &*self.signature_version {
            "1" => Ok(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY),
            "2" => Ok(&RSA_PKCS1_2048_8192_SHA256),
            _ => Err(malformed("/SignatureVersion", "1 or 2")),
        }
    }

    /// Returns what is signed: names and values of some fields, each on a line of its own.
    fn content(&self) -> Result<String, Failure> {
        let needed = |name: &'static str, value: &Option<String>| {
            value.clone().ok_or_else(|| Failure::missing(format!("{name} in the body")))
        };
        let (url, token) = match &*self.r#type {
            "Notification" => (None, None),
            "SubscriptionConfirmation" | "UnsubscribeConfirmation" => {
                let url = needed("/SubscribeURL", &self.subscribe_url)?;
                (Some(url), Some(needed("/Token", &self.token)?))
            }
            _ => return Err(malformed("/Type", "a type of message that SNS sends")),
        };
        let subject = self.subject.as_deref().filter(|_| url.is_none());
        let fields = [
            ("MessageId", Some(&*self.message_id)),
            ("Subject", subject),
            ("SubscribeURL", url.as_deref()),
            ("Timestamp", Some(&self.timestamp)),
            ("Token", token.as_deref()),
            ("TopicArn", Some(&self.topic_arn)),
            ("Type", Some(&self.r#type)),
        ];
        let mut content = format!("Message\n{}\n", self.message);
        for (name, value) in fields.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            // If a value after the first had several lines, it would be unclear where it ends. Somebody could
            // move the subject into the id, and repeat the message under another id.
            if value.contains('\n') {
                return Err(malformed(name, "one line"));
            }
            content.extend([name, "\n", value, "\n"]);
        }
        Ok(content)
    }
}

fn malformed(name: &str, expected: &'static str) -> Failure {
    Failure::malformed(format!("{} in the body", name.trim_start_matches('/')), expected)
}

/// Returns the certificate, with the same checks as in AWS's own library for Java.
fn certificate(request: &Request<'_>, url: &str) -> Result<Certificate, Failure> {
    if !address::is_sns_certificate(url) {
        return Err(Failure::ForeignKey(url.to_owned()));
    }
    let certificate = Certificate::published(request, url)?;
    certificate.require_name(is_sns_name)?;
    certificate.require_begun(request.now)?;
    certificate.require_unexpired(request.now)?;
    Ok(certificate)
}

/// Returns true if a certificate of SNS can have this name: `sns.amazonaws.com`, in newer regions
/// `sns-signing.<region>.…`, in China and for the government `sns-<region>.…`.
fn is_sns_name(name: &str) -> bool {
    if let Some(before) = name.strip_suffix(".amazonaws.eu") {
        return before.strip_prefix("sns-signing.").is_some_and(address::is_sovereign);
    }
    let name = name.strip_suffix(".cn").unwrap_or(name);
    let before = name.strip_suffix(".amazonaws.com");
    before.is_some_and(|before| before == "sns" || before.starts_with("sns-"))
}
