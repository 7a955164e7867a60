//! Handshakes by GET and OPTIONS. None is signed.

use serde_json::json;

use super::{Answer, Context};
use crate::digest::Key;
use crate::header::{number, same, single};
use crate::{Failure, Request, digest};
use floodgate_event::scheme::{Algorithm, Encoding};

/// The longest token of X, in bytes.
const MAX_TOKEN: usize = 256;
/// The longest text that is sent back, in bytes.
const MAX_CHALLENGE: usize = 4_096;

/// <https://developers.facebook.com/docs/graph-api/webhooks/getting-started>
pub(super) fn meta(request: &Request<'_>, context: &Context<'_>) -> Option<Result<Answer, Failure>> {
    let challenge = request.parameter("hub.challenge")?;
    let token = request.parameter("hub.verify_token").unwrap_or_default();
    let is_ours = |ours: &str| !ours.is_empty() && same(ours.as_bytes(), token.as_bytes());
    let known = match &context.settings.verify_token {
        Some(ours) => is_ours(ours),
        None => context.secrets.iter().any(|named| is_ours(named.secret.expose())),
    };
    let subscribes = request.parameter("hub.mode").as_deref() == Some("subscribe");
    if !known || !subscribes {
        return Some(Ok(Answer::empty(403)));
    }
    Some(short(challenge, "hub.challenge").map(Answer::text))
}

/// <https://docs.x.com/x-api/webhooks/introduction>
pub(super) fn x(request: &Request<'_>, context: &Context<'_>) -> Option<Result<Answer, Failure>> {
    let token = request.parameter("crc_token")?;
    // The answer is the signature of the token. A token that could be an event would sign any event for
    // anybody. So what is a token here is refused as a body.
    if !is_token_of_x(token.as_bytes()) {
        return Some(Err(Failure::malformed("crc_token", "a token")));
    }
    let named = context.secrets.first()?;
    let key = Key::new(Algorithm::HmacSha256, named.secret.expose().as_bytes());
    let tag = key.sign(&[token.as_bytes()])?;
    let response = format!("sha256={}", digest::encode(Encoding::Base64, tag.as_ref()));
    Some(Ok(Answer::json(&json!({"response_token": response}))))
}

/// <https://www.dropbox.com/developers/reference/webhooks>
pub(super) fn dropbox(request: &Request<'_>) -> Option<Result<Answer, Failure>> {
    let challenge = request.parameter("challenge")?;
    Some(short(challenge, "challenge").map(Answer::text))
}

/// <https://developer.okta.com/docs/concepts/event-hooks/>
pub(super) fn okta(request: &Request<'_>) -> Option<Result<Answer, Failure>> {
    const NAME: &str = "x-okta-verification-challenge";
    request.headers.get(NAME)?;
    let challenge = single(request.headers, NAME).map(ToOwned::to_owned);
    let challenge = challenge.and_then(|challenge| short(challenge, NAME));
    Some(challenge.map(|challenge| Answer::json(&json!({"verification": challenge}))))
}

/// <https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md> section 4. The answer allows
/// the rate that the sender asks for, or any rate: `rate_limit` of the source refuses what is too much, with
/// 429.
pub(super) fn cloud_events(request: &Request<'_>) -> Option<Result<Answer, Failure>> {
    const ORIGIN: &str = "webhook-request-origin";
    const RATE: &str = "webhook-request-rate";
    request.headers.get(ORIGIN)?;
    let origin = single(request.headers, ORIGIN).and_then(|origin| short(origin.to_owned(), ORIGIN));
    let origin = match origin {
        Ok(origin) => origin,
        Err(failure) => return Some(Err(failure)),
    };
    let mut answer = Answer::empty(200);
    answer.headers.push(("webhook-allowed-origin", origin));
    answer.headers.push(("allow", "POST".to_owned()));
    let rate = single(request.headers, RATE).ok();
    let rate = rate.filter(|rate| number(rate).is_some_and(|rate| rate > 0)).unwrap_or("*");
    answer.headers.push(("webhook-allowed-rate", rate.to_owned()));
    Some(Ok(answer))
}

/// A text of the request that the answer repeats, if it is not too long.
pub(super) fn short(challenge: String, name: &'static str) -> Result<String, Failure> {
    if challenge.len() <= MAX_CHALLENGE {
        return Ok(challenge);
    }
    Err(Failure::malformed(name, format!("at most {MAX_CHALLENGE} bytes")))
}

/// Returns true if X may ask for the signature of this text.
pub(super) fn is_token_of_x(text: &[u8]) -> bool {
    let is_of_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.+/=".contains(byte);
    (1..=MAX_TOKEN).contains(&text.len()) && text.iter().all(is_of_token)
}
