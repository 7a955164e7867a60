//! Makes the streams and buckets that a deployment needs, in the centre and in each region.

mod ensure;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};
use async_nats::jetstream::{Context, kv};
use floodgate_event::causes::chain;
use floodgate_event::{Lane, subject};
use tokio_util::sync::CancellationToken;

use self::ensure::Chosen;
use crate::central;
use crate::fitness::{self, Needs};
use crate::placement::{Centre, Placement};

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

/// What the centre's NATS holds, of a deployment that is new.
///
/// # Errors
/// Names the stream, if the server refuses it or cannot be reached.
pub async fn centre(context: &Context, shards: u32, centre: Centre) -> Result<(), ProvisionError> {
    centre_buckets(context, centre).await?;
    for stream in central::streams(shards) {
        central_stream(context, &stream, centre).await?;
    }
    Ok(())
}

/// The centre's buckets.
///
/// # Errors
/// As [`centre`].
pub async fn centre_buckets(context: &Context, centre: Centre) -> Result<(), ProvisionError> {
    let max_payload = context.client().server_info().max_payload;
    // 0 before the first connection; then what follows fails.
    if (1..LEAST_PAYLOAD).contains(&max_payload) {
        return Err(ProvisionError::MaxPayload(max_payload));
    }
    let chosen = chosen(centre);
    ensure::bucket(context, bucket(subject::CONTROL_BUCKET, CONTROL_HISTORY), chosen).await?;
    ensure::bucket(context, bucket(subject::LEASE_BUCKET, 1), chosen).await?;
    ensure::objects(context, subject::HANDLERS_BUCKET, chosen).await
}

/// One of the centre's streams, by its name.
///
/// # Errors
/// As [`centre`].
pub async fn central_stream(context: &Context, name: &str, centre: Centre) -> Result<(), ProvisionError> {
    ensure::stream(context, central_config(name), chosen(centre)).await
}

/// Brings one of the centre's streams to what was chosen, if it is there.
///
/// # Errors
/// As [`centre`].
pub async fn bring_central_stream(
    context: &Context,
    name: &str,
    centre: Centre,
) -> Result<(), ProvisionError> {
    ensure::bring_stream(context, &central_config(name), chosen(centre)).await.map(drop)
}

fn chosen_lane(placement: Placement, lane: Lane) -> Chosen {
    Chosen { replicas: placement.replicas, max_bytes: placement.max_bytes.of(lane), batches: false }
}

fn chosen_rest(placement: Placement) -> Chosen {
    Chosen { replicas: placement.replicas, ..Chosen::default() }
}

fn chosen(centre: Centre) -> Chosen {
    Chosen { replicas: centre.replicas, ..Chosen::default() }
}

fn central_config(name: &str) -> Config {
    match name.split_once('_').map(|(kind, shard)| (kind, shard.parse())) {
        Some(("EVENTS", Ok(shard))) => {
            Config { allow_atomic_publish: true, ..stream(name.into(), subject::log_wildcard(shard)) }
        }
        Some(("JOURNAL", Ok(shard))) => stream(name.into(), subject::journal_wildcard(shard)),
        _ => stream(name.into(), subject::SET_ASIDE_WILDCARD.into()),
    }
}

/// What a region's NATS holds.
///
/// # Errors
/// As [`centre`].
pub async fn region(context: &Context, placement: Placement) -> Result<(), ProvisionError> {
    for lane in Lane::ALL {
        let config = stream(subject::regional_stream(lane).into(), subject::regional_wildcard(lane));
        let config = Config { duplicate_window: DUPLICATE_WINDOW, ..config };
        ensure::stream(context, config, chosen_lane(placement, lane)).await?;
    }
    ensure::bucket(context, bucket(subject::SNAPSHOT_BUCKET, 1), chosen_rest(placement)).await?;
    let reports = kv::Config { max_age: REPORT_AGE, ..bucket(subject::GATEWAYS_BUCKET, 1) };
    ensure::bucket(context, reports, chosen_rest(placement)).await?;
    ensure::objects(context, subject::HANDLERS_BUCKET, chosen_rest(placement)).await
}

/// Keeps a region provisioned until `shutdown`: one that lost its disk gets its streams back.
/// Notes settings of its streams that make them unfit, which are somebody's choice and stay.
pub async fn keep_region(
    name: &str,
    context: &Context,
    placement: Placement,
    faults: &StreamFaults,
    shutdown: &CancellationToken,
) {
    loop {
        let kept = async {
            region(context, placement).await?;
            regional_faults(context).await
        };
        let pause = match kept.await {
            Ok(found) => {
                faults.set(name, found);
                LOOK_EVERY
            }
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

async fn regional_faults(context: &Context) -> Result<Vec<String>, ProvisionError> {
    let mut found = Vec::new();
    for lane in Lane::ALL {
        let stream = subject::regional_stream(lane);
        let info = context.get_stream(stream).await.map_err(|error| refused(stream, error))?;
        let subjects = subject::regional_wildcard(lane);
        let needs = Needs { subjects: &subjects, message_bytes: LEAST_PAYLOAD, window: None, direct: false };
        let faults = fitness::faults(&info.cached_info().config, needs);
        found.extend(faults.into_iter().map(|fault| format!("{stream}: {fault}")));
    }
    Ok(found)
}

/// Settings of regional streams that make them unfit, by region. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct StreamFaults(Arc<Mutex<BTreeMap<String, Vec<String>>>>);

impl StreamFaults {
    fn set(&self, region: &str, found: Vec<String>) {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.get(region).is_some_and(|before| *before == found) {
            return;
        }
        for fault in &found {
            tracing::warn!(region, fault, "a stream of the region is unfit");
        }
        faults.insert(region.to_owned(), found);
    }

    /// Each with its region.
    pub fn all(&self) -> Vec<(String, String)> {
        let faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_region = |(region, found): (&String, &Vec<String>)| {
            found.iter().map(|fault| (region.clone(), fault.clone())).collect::<Vec<_>>()
        };
        faults.iter().flat_map(of_region).collect()
    }
}

fn refused(stream: &str, error: impl Into<async_nats::Error>) -> ProvisionError {
    ProvisionError::Stream { stream: stream.to_owned(), source: error.into() }
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
