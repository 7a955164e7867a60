//! Measures how many blocks of the log are not matched yet.
//!
//! The server counts them from the journal's cursor, so the metric rises even while nothing can be matched or
//! recorded. The readers of the lanes would not notice that themselves.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use floodgate_event::{Lane, ShardId, subject};
use floodgate_stream::reader::TemporaryConsumer;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::DeliveryMetrics;
use super::index::DeliveryIndex;

/// How often the lag is measured.
const EVERY: Duration = Duration::from_secs(10);
/// How long the server keeps a consumer that could not be deleted.
const INACTIVE: Duration = Duration::from_secs(10);

/// Measures one shard every 10 seconds until `stop` is cancelled, as `floodgate_blocks_to_match`.
pub async fn measure_lag(
    context: Context,
    shard: ShardId,
    index: Arc<DeliveryIndex>,
    metrics: DeliveryMetrics,
    stop: CancellationToken,
) {
    loop {
        for lane in Lane::ALL {
            if let Err(error) = measure_lane(&context, shard, lane, &index, &metrics).await {
                tracing::debug!(shard = shard.get(), %lane, %error, "what is to match cannot be counted");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(EVERY) => {}
        }
    }
}

async fn measure_lane(
    context: &Context,
    shard: ShardId,
    lane: Lane,
    index: &DeliveryIndex,
    metrics: &DeliveryMetrics,
) -> Result<(), async_nats::Error> {
    let cursor = tokio::task::block_in_place(|| index.cursor(lane))?;
    let config = pull::Config {
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: cursor + 1 },
        ack_policy: AckPolicy::None,
        filter_subject: subject::log(shard, lane),
        memory_storage: true,
        num_replicas: 1,
        inactive_threshold: INACTIVE,
        ..pull::Config::default()
    };
    let (_temporary, consumer) =
        TemporaryConsumer::create(context, &subject::log_stream(shard), config).await?;
    metrics.to_match(shard, lane, consumer.cached_info().num_pending);
    Ok(())
}
