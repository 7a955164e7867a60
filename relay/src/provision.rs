//! Makes the streams and buckets that a deployment needs, in the centre and in each region.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};
use async_nats::jetstream::{Context, kv, object_store};
use floodgate_event::{Lane, subject};
use tokio_util::sync::CancellationToken;

/// A gateway's publish deadline is at most half of this.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// Configurations that are kept for looking back.
const CONTROL_HISTORY: i64 = 64;
/// After which a gateway's report is forgotten.
const REPORT_AGE: Duration = Duration::from_secs(600);
/// What a server must let through: the largest block, and its verdicts.
const LEAST_PAYLOAD: usize = 8 * 1024 * 1024;
/// How often a region is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Wait before one out of reach is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// What the centre's NATS holds.
///
/// # Errors
/// If the server cannot be reached, or a stream of the name exists with an incompatible configuration.
pub async fn centre(context: &Context, shards: u32) -> Result<(), async_nats::Error> {
    let max_payload = context.client().server_info().max_payload;
    // 0 before the first connection; then what follows fails.
    if (1..LEAST_PAYLOAD).contains(&max_payload) {
        let text =
            format!("the centre's max_payload is {max_payload} bytes, and blocks need {LEAST_PAYLOAD}");
        return Err(text.into());
    }
    for shard in 0..shards {
        ensure(context, stream(subject::log_stream(shard), subject::log_wildcard(shard))).await?;
        ensure(context, stream(subject::journal_stream(shard), subject::journal_wildcard(shard))).await?;
    }
    ensure(context, stream(subject::SET_ASIDE_STREAM.into(), subject::SET_ASIDE_WILDCARD.into())).await?;
    bucket(context, subject::CONTROL_BUCKET, CONTROL_HISTORY, Duration::ZERO).await?;
    bucket(context, subject::LEASE_BUCKET, 1, Duration::ZERO).await?;
    objects(context).await
}

/// What a region's NATS holds.
///
/// # Errors
/// As [`centre`].
pub async fn region(context: &Context) -> Result<(), async_nats::Error> {
    for lane in Lane::ALL {
        let lane_stream = stream(subject::regional_stream(lane).into(), subject::regional_wildcard(lane));
        ensure(context, Config { duplicate_window: DUPLICATE_WINDOW, ..lane_stream }).await?;
    }
    bucket(context, subject::SNAPSHOT_BUCKET, 1, Duration::ZERO).await?;
    bucket(context, subject::GATEWAYS_BUCKET, 1, REPORT_AGE).await?;
    objects(context).await
}

/// Keeps a region provisioned until `shutdown`: one that lost its disk gets its streams back.
pub async fn keep_region(name: &str, context: &Context, shutdown: &CancellationToken) {
    loop {
        let pause = match region(context).await {
            Ok(()) => LOOK_EVERY,
            Err(error) => {
                tracing::warn!(region = name, %error, "cannot provision the region yet");
                RETRY_PAUSE
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// What is not confirmed is never thrown away: no age limit, and a full stream refuses.
fn stream(name: String, subjects: String) -> Config {
    Config {
        name,
        subjects: vec![subjects],
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        allow_direct: true,
        ..Config::default()
    }
}

/// Creates what is missing and leaves alone what is there: an operator may have set limits or replicas.
async fn ensure(context: &Context, config: Config) -> Result<(), async_nats::Error> {
    context.get_or_create_stream(config).await?;
    Ok(())
}

async fn bucket(
    context: &Context,
    name: &str,
    history: i64,
    max_age: Duration,
) -> Result<(), async_nats::Error> {
    if context.get_key_value(name).await.is_ok() {
        return Ok(());
    }
    let config = kv::Config { bucket: name.into(), history, max_age, ..kv::Config::default() };
    context.create_key_value(config).await?;
    Ok(())
}

async fn objects(context: &Context) -> Result<(), async_nats::Error> {
    if context.get_object_store(subject::HANDLERS_BUCKET).await.is_ok() {
        return Ok(());
    }
    let config =
        object_store::Config { bucket: subject::HANDLERS_BUCKET.into(), ..object_store::Config::default() };
    context.create_object_store(config).await?;
    Ok(())
}
