//! Signs as GitHub, Stripe and Standard Webhooks senders do, from their documentation and apart from the
//! gateway's code, so that a shared mistake cannot go unseen.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::Result;

/// A request that is ready to be posted to `/in/{source}`.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The source's name.
    pub source: String,
    /// Header pairs, the signature among them.
    pub headers: Vec<(&'static str, String)>,
    /// The signed bytes.
    pub body: Bytes,
}

impl Signed {
    /// The same request with a byte of its body changed after it was signed.
    #[must_use]
    pub fn forged(mut self) -> Self {
        let mut body = self.body.to_vec();
        body.push(b' ');
        self.body = body.into();
        self
    }
}

/// As GitHub does: `X-Hub-Signature-256` over the body. `delivery` is the id that GitHub gives each request.
///
/// # Errors
/// Never for a key of any length; HMAC's interface has the case.
pub fn github(
    source: &str,
    secret: &str,
    event: &str,
    delivery: &str,
    body: impl Into<Bytes>,
) -> Result<Signed> {
    let body = body.into();
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("x-github-event", event.to_owned()),
        ("x-github-delivery", delivery.to_owned()),
        ("x-hub-signature-256", format!("sha256={}", hex::encode(hmac(secret.as_bytes(), &[&body])?))),
    ];
    Ok(Signed { source: source.to_owned(), headers, body })
}

/// As Stripe does: `Stripe-Signature` over time and body, now.
///
/// # Errors
/// As [`github`], or if the clock stands before 1970.
pub fn stripe(source: &str, secret: &str, body: impl Into<Bytes>) -> Result<Signed> {
    let body = body.into();
    let time = unix_seconds()?.to_string();
    let tag = hex::encode(hmac(secret.as_bytes(), &[time.as_bytes(), b".", &body])?);
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("stripe-signature", format!("t={time},v1={tag}")),
    ];
    Ok(Signed { source: source.to_owned(), headers, body })
}

/// As Standard Webhooks says: over id, time and body, now.
///
/// # Errors
/// If the secret is not `whsec_` and base64, or as [`stripe`].
pub fn standard(source: &str, secret: &str, id: &str, body: impl Into<Bytes>) -> Result<Signed> {
    let body = body.into();
    let time = unix_seconds()?.to_string();
    let tag = standard_tag(secret, id, &time, &body)?;
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", time),
        ("webhook-signature", format!("v1,{tag}")),
    ];
    Ok(Signed { source: source.to_owned(), headers, body })
}

/// The base64 of a Standard Webhooks v1 signature.
///
/// # Errors
/// If the secret is not `whsec_` and base64.
pub fn standard_tag(secret: &str, id: &str, time: &str, body: &[u8]) -> Result<String> {
    let key = BASE64.decode(secret.trim_start_matches("whsec_"))?;
    let tag = hmac(&key, &[id.as_bytes(), b".", time.as_bytes(), b".", body])?;
    Ok(BASE64.encode(tag))
}

/// A new Standard Webhooks secret.
pub fn new_standard_secret() -> String {
    format!("whsec_{}", BASE64.encode(rand::random::<[u8; 32]>()))
}

/// A new secret of the kind that GitHub and Stripe use: any text.
pub fn new_text_secret() -> String {
    hex::encode(rand::random::<[u8; 24]>())
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Result<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key)?;
    for part in parts {
        mac.update(part);
    }
    Ok(mac.finalize().into_bytes().to_vec())
}

fn unix_seconds() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GitHub's documentation gives this value.
    #[test]
    fn github_as_documented() -> Result<()> {
        let signed = github("github", "It's a Secret to Everybody", "push", "1", "Hello, World!")?;
        let tag = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert!(signed.headers.iter().any(|(name, value)| *name == "x-hub-signature-256" && value == tag));
        Ok(())
    }

    /// The example of the reference libraries of Standard Webhooks.
    #[test]
    fn standard_as_the_reference() -> Result<()> {
        let body = br#"{"test": 2432232314}"#;
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let tag = standard_tag(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body)?;
        assert_eq!(tag, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        Ok(())
    }
}
