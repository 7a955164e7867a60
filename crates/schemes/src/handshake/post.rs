//! Handshakes by POST.

use floodgate_event::Secret;
use floodgate_event::scheme::Algorithm;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::get::short;
use super::{Answer, Context, Note};
use crate::digest::Key;
use crate::header::single;
use crate::{Failure, Request, address};

/// The longest body that is read for an unsigned handshake, in bytes.
const MAX_BODY: usize = 16 * 1_024;

/// <https://learn.microsoft.com/graph/change-notifications-delivery-webhooks>
pub(super) fn graph(request: &Request<'_>) -> Option<Result<Answer, Failure>> {
    let token = request.parameter("validationToken")?;
    Some(short(token, "validationToken").map(Answer::text))
}

/// <https://learn.microsoft.com/azure/event-grid/webhook-event-delivery>
pub(super) fn event_grid(request: &Request<'_>) -> Option<Result<Answer, Failure>> {
    #[derive(Deserialize)]
    struct Event {
        data: Data,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Data {
        validation_code: String,
    }
    let kind = single(request.headers, "aeg-event-type").ok()?;
    if kind != "SubscriptionValidation" {
        return None;
    }
    let malformed = Failure::malformed("the body", "an event with `data.validationCode`");
    let events = short_body(request.body).and_then(|body| serde_json::from_slice::<[Event; 1]>(body).ok());
    Some(
        events
            .ok_or(malformed)
            .map(|[event]| Answer::json(&json!({"validationResponse": event.data.validation_code}))),
    )
}

/// <https://developers.notion.com/reference/webhooks>. Answered only while the source has no secret.
/// Otherwise anybody could replace the secret by a later request.
pub(super) fn notion(request: &Request<'_>, context: &Context<'_>) -> Option<Result<Answer, Failure>> {
    #[derive(Deserialize)]
    struct Body {
        verification_token: Secret,
    }
    if !context.secrets.is_empty() {
        return None;
    }
    let body: Body = serde_json::from_slice(short_body(request.body)?).ok()?;
    Some(Ok(Answer { note: Some(Note::Secret(body.verification_token)), ..Answer::empty(200) }))
}

/// `deliver_ping` of <https://github.com/woocommerce/woocommerce>: WooCommerce saves a webhook only after an
/// answer with 200.
pub(super) fn woocommerce(request: &Request<'_>) -> Option<Result<Answer, Failure>> {
    let body = std::str::from_utf8(short_body(request.body)?).ok()?;
    let number = body.strip_prefix("webhook_id=")?;
    let is_ping = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_ping.then(|| Ok(Answer::empty(200)))
}

/// <https://docs.slack.dev/reference/events/url_verification>
pub(super) fn slack(request: &Request<'_>) -> Option<Answer> {
    #[derive(Deserialize)]
    struct Body {
        r#type: String,
        challenge: String,
    }
    let body: Body = serde_json::from_slice(request.body).ok()?;
    (body.r#type == "url_verification").then(|| Answer::text(body.challenge))
}

/// <https://developers.zoom.us/docs/api/webhooks/#validate-your-webhook-endpoint>. The secret that signed the
/// request makes the answer: Zoom knows that one, and during a rotation perhaps no other.
pub(super) fn zoom(request: &Request<'_>, context: &Context<'_>) -> Option<Answer> {
    #[derive(Deserialize)]
    struct Body {
        event: String,
        payload: Payload,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Payload {
        plain_token: String,
    }
    let body: Body = serde_json::from_slice(request.body).ok()?;
    if body.event != "endpoint.url_validation" {
        return None;
    }
    let token = body.payload.plain_token;
    let named = context.secrets.iter().find(|named| Some(&*named.id) == context.signed_by)?;
    let key = Key::new(Algorithm::HmacSha256, named.secret.expose().as_bytes());
    let tag = key.sign(&[token.as_bytes()])?;
    Some(Answer::json(&json!({"plainToken": token, "encryptedToken": hex::encode(tag)})))
}

/// <https://discord.com/developers/docs/interactions/overview>
pub(super) fn discord(request: &Request<'_>) -> Option<Answer> {
    (discord_type(request)? == 1).then(|| Answer::json(&json!({"type": 1})))
}

/// <https://discord.com/developers/docs/events/webhook-events>
pub(super) fn discord_events(request: &Request<'_>) -> Option<Answer> {
    (discord_type(request)? == 0).then(|| Answer::empty(204))
}

fn discord_type(request: &Request<'_>) -> Option<u8> {
    #[derive(Deserialize)]
    struct Body {
        r#type: u8,
        /// Only webhook events have one, and their type is 1 too.
        event: Option<IgnoredAny>,
    }
    let body: Body = serde_json::from_slice(request.body).ok()?;
    body.event.is_none().then_some(body.r#type)
}

/// <https://developer.xero.com/documentation/guides/webhooks/configuring-your-server/>: the *intent to
/// receive* has no events.
pub(super) fn xero(request: &Request<'_>) -> Option<Answer> {
    #[derive(Deserialize)]
    struct Body {
        events: Vec<IgnoredAny>,
    }
    let body: Body = serde_json::from_slice(request.body).ok()?;
    body.events.is_empty().then(|| Answer::empty(200))
}

/// <https://docs.aws.amazon.com/sns/latest/dg/SendMessageToHttp.confirm.html>. The answer lacks its note only
/// if the address is not one of SNS, and the scheme has refused such a request already.
pub(super) fn sns(request: &Request<'_>, context: &Context<'_>) -> Option<Answer> {
    if !context.settings.confirm_subscriptions {
        return None;
    }
    #[derive(Deserialize)]
    struct Body {
        #[serde(rename = "Type")]
        kind: String,
        #[serde(rename = "SubscribeURL", default)]
        url: String,
    }
    let body: Body = serde_json::from_slice(request.body).ok()?;
    if body.kind != "SubscriptionConfirmation" {
        return None;
    }
    let note = address::is_sns_subscription(&body.url).then_some(Note::Confirm(body.url));
    Some(Answer { note, ..Answer::empty(200) })
}

fn short_body(body: &[u8]) -> Option<&[u8]> {
    (body.len() <= MAX_BODY).then_some(body)
}
