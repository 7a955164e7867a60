//! How far the log is ahead of the journal, as a metric: also while nothing can be journaled, which the lanes
//! themselves would not notice.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use floodgate_event::{Lane, subject};
use floodgate_stream::reader::Temporary;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::ForwardMetrics;
use super::index::DeliveryIndex;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(10);
/// After which the server forgets a consumer that could not be deleted.
const INACTIVE: Duration = Duration::from_secs(10);

/// Measures one shard until `stop`.
pub async fn measure(
    context: Context,
    shard: u32,
    index: Arc<DeliveryIndex>,
    metrics: ForwardMetrics,
    stop: CancellationToken,
) {
    loop {
        for lane in Lane::ALL {
            if let Err(error) = measure_lane(&context, shard, lane, &index, &metrics).await {
                tracing::debug!(shard, %lane, %error, "what is to match cannot be counted");
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
    shard: u32,
    lane: Lane,
    index: &DeliveryIndex,
    metrics: &ForwardMetrics,
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
    let (_temporary, consumer) = Temporary::create(context, &subject::log_stream(shard), config).await?;
    metrics.to_match(shard, lane, consumer.cached_info().num_pending);
    Ok(())
}
