//! Creates the streams and buckets that a deployment needs, in the centre and in each region.

mod ensure;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::{Context, kv};
use floodgate_event::causes::chain;
use floodgate_event::{Lane, LogRate, ShardCount, subject};
use tokio_util::sync::CancellationToken;

use self::ensure::Choices;
use crate::contract::{Contract, MAX_MESSAGE_BYTES};
use crate::placement::{Centre, Placement, Rejects, Replicas};

/// How many revisions of the configuration the control bucket keeps.
const CONTROL_HISTORY: i64 = 64;
/// A gateway's report expires after this.
const REPORT_AGE: Duration = Duration::from_secs(600);
/// How often a region is checked.
const CHECK_EVERY: Duration = Duration::from_secs(10);
/// The pause before a region that could not be provisioned is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// Creates what a new deployment needs in the centre's NATS: buckets and streams.
///
/// # Errors
/// If the server refuses a stream or cannot be reached; the error names the stream.
pub async fn centre(context: &Context, shards: ShardCount, centre: Centre) -> Result<(), ProvisionError> {
    centre_buckets(context, centre).await?;
    for contract in Contract::central(shards) {
        central_stream(context, &contract, centre).await?;
    }
    Ok(())
}

/// Creates the centre's buckets, if they are missing.
///
/// # Errors
/// As [`centre`].
pub async fn centre_buckets(context: &Context, centre: Centre) -> Result<(), ProvisionError> {
    let max_payload = context.client().server_info().max_payload;
    // It is 0 before the first connection. Then the next requests fail.
    if (1..MAX_MESSAGE_BYTES).contains(&max_payload) {
        return Err(ProvisionError::MaxPayload(max_payload));
    }
    let chosen = chosen(centre);
    ensure::bucket(context, bucket(subject::CONTROL_BUCKET, CONTROL_HISTORY), chosen).await?;
    ensure::bucket(context, bucket(subject::LEASE_BUCKET, 1), chosen).await?;
    ensure::objects(context, subject::HANDLERS_BUCKET, chosen).await
}

/// Creates one of the centre's streams if it is missing, and applies the operator's choices.
///
/// # Errors
/// As [`centre`].
pub async fn central_stream(
    context: &Context,
    contract: &Contract,
    centre: Centre,
) -> Result<(), ProvisionError> {
    ensure::stream(context, contract.config(), chosen(centre)).await
}

/// Applies the operator's choices to one of the centre's streams, if it exists.
///
/// # Errors
/// As [`centre`].
pub async fn update_central_stream(
    context: &Context,
    contract: &Contract,
    centre: Centre,
) -> Result<(), ProvisionError> {
    ensure::update_stream(context, &contract.config(), chosen(centre)).await.map(drop)
}

/// Creates the centre's stream of refused requests, if it is missing, with room for this many regions.
///
/// # Errors
/// As [`centre`].
pub async fn centre_rejects(
    context: &Context,
    centre: Centre,
    rejects: Rejects,
    regions: usize,
) -> Result<(), ProvisionError> {
    let chosen = chosen_rejects(centre.replicas, rejects, regions);
    ensure::stream(context, Contract::rejects().config(), chosen).await
}

fn chosen_rejects(replicas: Option<Replicas>, rejects: Rejects, regions: usize) -> Choices {
    let (max_bytes, max_age) = (Some(rejects.max_bytes_of(regions)), Some(rejects.max_age()));
    Choices { replicas, max_bytes, max_age, ..Choices::default() }
}

fn chosen_lane(placement: Placement, lane: Lane) -> Choices {
    let max_bytes = placement.max_bytes.of(lane);
    Choices { replicas: placement.replicas, max_bytes, ..Choices::default() }
}

fn chosen_rest(placement: Placement) -> Choices {
    Choices { replicas: placement.replicas, ..Choices::default() }
}

fn chosen(centre: Centre) -> Choices {
    Choices { replicas: centre.replicas, ..Choices::default() }
}

/// Creates what a region's NATS needs, if it is missing, and applies the operator's choices.
///
/// # Errors
/// As [`centre`].
pub async fn region(context: &Context, placement: Placement) -> Result<(), ProvisionError> {
    for lane in Lane::ALL {
        ensure::stream(context, Contract::lane(lane).config(), chosen_lane(placement, lane)).await?;
    }
    ensure::bucket(context, bucket(subject::SNAPSHOT_BUCKET, 1), chosen_rest(placement)).await?;
    let reports = kv::Config { max_age: REPORT_AGE, ..bucket(subject::GATEWAYS_BUCKET, 1) };
    ensure::bucket(context, reports, chosen_rest(placement)).await?;
    ensure::objects(context, subject::HANDLERS_BUCKET, chosen_rest(placement)).await
}

/// Creates the region's streams of refused requests and of held ones. The server reserves their size, and a
/// lack of room for them must not keep events out.
///
/// # Errors
/// As [`centre`].
pub async fn region_rejects(context: &Context, placement: Placement) -> Result<(), ProvisionError> {
    let rejects = chosen_rejects(placement.replicas, placement.rejects, 1);
    ensure::stream(context, Contract::rejects().config(), rejects).await?;
    let (max_bytes, max_age) = (Some(placement.rejects.held_bytes()), Some(placement.held_max_age()));
    let held = Choices { max_bytes, max_age, ..rejects };
    ensure::stream(context, Contract::held().config(), held).await
}

/// Keeps a region provisioned until `shutdown`: a region that lost its disk gets new streams. Records the
/// faults of existing streams in `faults`, and does not correct them, because somebody chose these settings.
pub async fn keep_region(
    name: &str,
    context: &Context,
    placement: Placement,
    faults: &StreamFaults,
    shutdown: &CancellationToken,
) {
    let lines = LogRate::new();
    loop {
        let checked = async {
            region(context, placement).await?;
            regional_faults(context).await
        };
        if let Err(error) = region_rejects(context, placement).await
            && let Some(left_out) = lines.admit()
        {
            let error = chain(&error);
            tracing::warn!(region = name, %error, left_out, "refused requests cannot be kept in the region");
        }
        let pause = match checked.await {
            Ok(found) => {
                faults.set(name, found);
                CHECK_EVERY
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
    for contract in Contract::regional() {
        let stream = contract.name();
        let info = context.get_stream(stream).await.map_err(|error| refused(stream, error))?;
        let faults = contract.faults(&info.cached_info().config);
        found.extend(faults.into_iter().map(|fault| format!("{stream}: {fault}")));
    }
    Ok(found)
}

/// The faults of regional streams, by region. Clones share them.
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

    /// All faults. Each comes after the name of its region.
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

fn bucket(name: &str, history: i64) -> kv::Config {
    kv::Config { bucket: name.into(), history, ..kv::Config::default() }
}

/// Why a stream or bucket could not be created or changed.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The server's limit is too small for the largest block.
    #[error("the centre's max_payload is {0} bytes, and blocks need {MAX_MESSAGE_BYTES}")]
    MaxPayload(usize),
    /// The server refuses the stream or bucket, or does not answer.
    #[error("stream {stream}: {source}")]
    Stream {
        /// The stream's name. That of a bucket begins with `KV_` or `OBJ_`.
        stream: String,
        /// The error of the request.
        source: async_nats::Error,
    },
}
