//! Connections for one command. They must be up within 10 s, unlike the relay's own, which wait for ever.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::kv::Store;
use async_nats::jetstream::stream::Info;
use floodgate_stream::Settings;
use floodgate_stream::connect::{connect, jetstream};
use floodgate_stream::reader::is_missing;
use tokio::time::timeout;

use super::Error;

/// How long a server may take to let a client in.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Connects to NATS, and waits until the connection is up. `label` names the place in errors.
pub(super) async fn reach(label: &str, settings: &Settings) -> Result<Context, Error> {
    let connection = connect(label, settings).await?;
    let late = |_| Error::Unreachable(label.to_owned());
    timeout(CONNECT_LIMIT, connection.until_up()).await.map_err(late)?;
    Ok(jetstream(connection.client()))
}

/// Finds a stream. `None` if there is none of this name.
pub(super) async fn find(context: &Context, stream: &str) -> Result<Option<Info>, Error> {
    match context.get_stream(stream).await {
        Ok(found) => Ok(Some(found.cached_info().clone())),
        Err(error) if is_missing(&error.kind()) => Ok(None),
        Err(error) => Err(Error::Stream { stream: stream.to_owned(), source: error.into() }),
    }
}

/// Finds a bucket. `None` if there is none of this name.
pub(super) async fn find_bucket(context: &Context, bucket: &str) -> Result<Option<Store>, Error> {
    let stream = format!("KV_{bucket}");
    if find(context, &stream).await?.is_none() {
        return Ok(None);
    }
    let found = context.get_key_value(bucket).await;
    found.map(Some).map_err(|error| Error::Stream { stream, source: error.into() })
}
