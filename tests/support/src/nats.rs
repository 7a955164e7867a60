//! nats-servers for tests: the only place that writes their configuration and starts them.
//!
//! Each server listens on free ports of the loopback address, keeps its configuration, log and streams in a
//! temporary folder of its own, and is killed by its process id when it is dropped.

mod cluster;
mod server;
mod setup;

use std::time::Duration;

use async_nats::jetstream::{self, Context};

use crate::Result;

pub use self::cluster::Cluster;
pub use self::server::Server;
pub use self::setup::Setup;

/// How long servers may take until they answer; only a test that has failed waits for so long.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often they are asked.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The server that leads a stream; `None` while there is none.
pub async fn leader(context: &Context, stream: &str) -> Option<String> {
    let stream = context.get_stream(stream).await.ok()?;
    stream.cached_info().cluster.as_ref()?.leader.clone()
}

/// A client of a server without users whose JetStream answers now.
async fn connect(url: &str) -> Result<Context> {
    let context = jetstream::new(async_nats::connect(url).await?);
    context.query_account().await?;
    Ok(context)
}
