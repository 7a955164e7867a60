//! Keeps regional messages that cannot be decoded, byte for byte, in a central stream of their own.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use async_nats::jetstream::message::PublishMessage;
use floodgate_event::{LogRate, subject};
use floodgate_stream::reader::ReadMessage;

use super::stage::Origin;

/// The pause before a copy is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Copies a message into the set-aside stream, and tries again until it is there. The message id is the
/// origin, so the server drops a second copy within its duplicate window. Only the message's own feed waits
/// meanwhile: what cannot be kept is not skipped. Not every message is logged, because `lines` limits that,
/// but each is in the stream with its reason.
pub async fn set_aside(
    context: &Context,
    origin: &Origin,
    message: &ReadMessage,
    reason: &str,
    lines: &LogRate,
) {
    let name = origin.to_header();
    if let Some(left_out) = lines.admit() {
        tracing::error!(
            origin = name,
            reason,
            left_out,
            "a regional message cannot be decoded and is set aside"
        );
    }
    while let Err(error) = copy(context, &name, origin, message, reason).await {
        if let Some(left_out) = lines.admit() {
            tracing::error!(origin = name, %error, left_out, "cannot set the message aside");
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

async fn copy(
    context: &Context,
    name: &str,
    origin: &Origin,
    message: &ReadMessage,
    reason: &str,
) -> Result<(), async_nats::jetstream::context::PublishError> {
    let mut headers = HeaderMap::new();
    headers.insert(subject::ORIGIN_HEADER, name);
    headers.insert(subject::REASON_HEADER, reason);
    let publish = PublishMessage::build().headers(headers).message_id(name).payload(message.payload.clone());
    let target = subject::set_aside(&origin.feed.region, origin.feed.lane);
    context.send_publish(target, publish).await?.await?;
    Ok(())
}
