//! Makes the streams and buckets that a deployment needs, in the centre and in each region.

mod ensure;

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};
use async_nats::jetstream::{Context, kv};
use floodgate_event::causes::chain;
use floodgate_event::{Lane, subject};
use tokio_util::sync::CancellationToken;

use self::ensure::Chosen;
use crate::config::{Centre, MaxBytes, Region, Replicas};

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

/// What was chosen for a region's streams.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    replicas: Option<Replicas>,
    max_bytes: MaxBytes,
}

impl Wanted {
    /// As the configuration has it.
    pub fn of(region: &Region) -> Self {
        Self { replicas: region.replicas, max_bytes: region.max_bytes }
    }

    fn lane(self, lane: Lane) -> Chosen {
        Chosen { replicas: self.replicas, max_bytes: self.max_bytes.of(lane), batches: false }
    }

    fn rest(self) -> Chosen {
        Chosen { replicas: self.replicas, ..Chosen::default() }
    }
}

/// What the centre's NATS holds.
///
/// # Errors
/// Names the stream, if the server refuses it or cannot be reached.
pub async fn centre(context: &Context, shards: u32, centre: Centre) -> Result<(), ProvisionError> {
    let max_payload = context.client().server_info().max_payload;
    // 0 before the first connection; then what follows fails.
    if (1..LEAST_PAYLOAD).contains(&max_payload) {
        return Err(ProvisionError::MaxPayload(max_payload));
    }
    let chosen = Chosen { replicas: centre.replicas, ..Chosen::default() };
    for shard in 0..shards {
        let log = stream(subject::log_stream(shard), subject::log_wildcard(shard));
        let log = Config { allow_atomic_publish: true, ..log };
        ensure::stream(context, log, chosen).await?;
        let journal = stream(subject::journal_stream(shard), subject::journal_wildcard(shard));
        ensure::stream(context, journal, chosen).await?;
    }
    let set_aside = stream(subject::SET_ASIDE_STREAM.into(), subject::SET_ASIDE_WILDCARD.into());
    ensure::stream(context, set_aside, chosen).await?;
    ensure::bucket(context, bucket(subject::CONTROL_BUCKET, CONTROL_HISTORY), chosen).await?;
    ensure::bucket(context, bucket(subject::LEASE_BUCKET, 1), chosen).await?;
    ensure::objects(context, subject::HANDLERS_BUCKET, chosen).await
}

/// What a region's NATS holds.
///
/// # Errors
/// As [`centre`].
pub async fn region(context: &Context, wanted: Wanted) -> Result<(), ProvisionError> {
    for lane in Lane::ALL {
        let config = stream(subject::regional_stream(lane).into(), subject::regional_wildcard(lane));
        let config = Config { duplicate_window: DUPLICATE_WINDOW, ..config };
        ensure::stream(context, config, wanted.lane(lane)).await?;
    }
    ensure::bucket(context, bucket(subject::SNAPSHOT_BUCKET, 1), wanted.rest()).await?;
    let reports = kv::Config { max_age: REPORT_AGE, ..bucket(subject::GATEWAYS_BUCKET, 1) };
    ensure::bucket(context, reports, wanted.rest()).await?;
    ensure::objects(context, subject::HANDLERS_BUCKET, wanted.rest()).await
}

/// Keeps a region provisioned until `shutdown`: one that lost its disk gets its streams back.
pub async fn keep_region(name: &str, context: &Context, wanted: Wanted, shutdown: &CancellationToken) {
    loop {
        let pause = match region(context, wanted).await {
            Ok(()) => LOOK_EVERY,
            Err(error) => {
                tracing::warn!(region = name, error = %chain(&error), "cannot provision the region yet");
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

fn bucket(name: &str, history: i64) -> kv::Config {
    kv::Config { bucket: name.into(), history, ..kv::Config::default() }
}

/// Why a stream or bucket is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// Blocks would not fit.
    #[error("the centre's max_payload is {0} bytes, and blocks need {LEAST_PAYLOAD}")]
    MaxPayload(usize),
    /// The server refuses it, or does not answer.
    #[error("stream {stream}: {source}")]
    Stream {
        /// Which stream; a bucket's begins with `KV_` or `OBJ_`.
        stream: String,
        /// Why.
        source: async_nats::Error,
    },
}
