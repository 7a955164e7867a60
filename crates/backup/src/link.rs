//! Connections that must stand now, unlike the relay's own, which wait for ever.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::kv::Store;
use async_nats::jetstream::stream::Info;
use floodgate_stream::Settings;
use floodgate_stream::connect::{connect, jetstream};
use floodgate_stream::reader::is_missing;
use tokio::time::timeout;

use super::BackupError;

/// How long a server may take to let a client in.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A connection that stands.
pub(super) async fn reach(label: &str, settings: &Settings) -> Result<Context, BackupError> {
    let link = connect(label, settings).await?;
    let late = |_| BackupError::Unreachable(label.to_owned());
    timeout(CONNECT_LIMIT, link.until_up()).await.map_err(late)?;
    Ok(jetstream(link.client()))
}

/// A stream, if there is one of this name.
pub(super) async fn find(context: &Context, stream: &str) -> Result<Option<Info>, BackupError> {
    match context.get_stream(stream).await {
        Ok(found) => Ok(Some(found.cached_info().clone())),
        Err(error) if is_missing(&error.kind()) => Ok(None),
        Err(error) => Err(BackupError::Look { stream: stream.to_owned(), source: error.into() }),
    }
}

/// A bucket, if there is one of this name.
pub(super) async fn find_bucket(context: &Context, bucket: &str) -> Result<Option<Store>, BackupError> {
    let stream = format!("KV_{bucket}");
    if find(context, &stream).await?.is_none() {
        return Ok(None);
    }
    let found = context.get_key_value(bucket).await;
    found.map(Some).map_err(|error| BackupError::Look { stream, source: error.into() })
}
