//! The record of a deployment in the control bucket: its number of shards and its central streams.

use std::collections::BTreeMap;
use std::time::SystemTime;

use async_nats::jetstream::Context;
use async_nats::jetstream::kv::{self, Operation, UpdateErrorKind};
use async_nats::jetstream::stream::{Config, Info};
use floodgate_event::{ShardCount, ShardId, subject, time};
use serde::{Deserialize, Serialize};

use crate::contract::Contract;
use crate::reader::is_missing;

/// The key in a stream's metadata that holds the time of its creation, in hex microseconds. Unlike the
/// server's own creation time, a restore brings it back, also in a cluster.
pub(super) const MADE: &str = "floodgate_made";
const FORMAT: u32 = 1;
/// How often a change of the record is tried, if other changes come first.
const TRIES: usize = 8;

/// The record of a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    format: u32,
    /// The number of shards, which is fixed at the first start.
    pub shards: ShardCount,
    /// The central streams, by name.
    #[serde(default)]
    pub streams: BTreeMap<String, StreamRecord>,
}

/// What is recorded of a stream when the relay creates it, or when its loss is accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamRecord {
    /// The value of the stream's metadata. None until a relay has seen the stream.
    #[serde(default)]
    pub made: Option<String>,
    /// The last loss that was accepted.
    #[serde(default)]
    pub accepted: Option<Accepted>,
}

/// A loss that an operator accepted, or a restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The time of the acceptance in hex microseconds, which is unique.
    pub at: String,
    /// Everything that was read up to this sequence is still valid.
    pub through: u64,
}

impl StreamRecord {
    /// Identifies the history of the stream among all streams of the same name.
    pub fn identity(&self) -> String {
        let at = self.accepted.as_ref().map_or("", |accepted| &accepted.at);
        format!("{}/{at}", self.made.as_deref().unwrap_or_default())
    }

    /// The last sequence up to which what was read under `identity` is still valid.
    pub fn valid_through(&self, identity: &str) -> u64 {
        let is_same_making = identity.split('/').next() == self.made.as_deref();
        match &self.accepted {
            Some(accepted) if is_same_making || identity.is_empty() => accepted.through,
            _ if identity.is_empty() => u64::MAX,
            _ if is_same_making => u64::MAX,
            _ => 0,
        }
    }
}

impl Accepted {
    /// A loss that is accepted now. What was read up to `through` is still valid.
    pub fn now(through: u64) -> Self {
        Self { at: format!("{:x}", time::unix_micros(SystemTime::now())), through }
    }
}

/// The identity of this stream among all that have had its name.
pub(super) fn made(info: &Info) -> String {
    info.config.metadata.get(MADE).cloned().unwrap_or_else(|| created(info))
}

fn created(info: &Info) -> String {
    format!("{:x}", info.created.unix_timestamp_nanos() / 1_000)
}

/// The names of the centre's streams in a deployment of so many shards.
pub fn streams(shards: ShardCount) -> impl Iterator<Item = String> {
    Contract::central(shards).map(|contract| contract.name().to_owned())
}

/// Finds a stream by its name.
///
/// # Errors
/// If the centre does not answer.
pub async fn find(context: &Context, stream: &str) -> Result<Option<Info>, DeploymentError> {
    match context.get_stream(stream).await {
        Ok(found) => Ok(Some(found.cached_info().clone())),
        Err(error) if is_missing(&error.kind()) => Ok(None),
        Err(error) => Err(DeploymentError::nats(stream, error)),
    }
}

/// The record and its KV revision, which a change must match. None if there is no record yet.
async fn read(bucket: &kv::Store) -> Result<Option<(Deployment, u64)>, DeploymentError> {
    let entry = bucket.entry(subject::DEPLOYMENT_KEY).await;
    let entry = entry.map_err(|error| DeploymentError::nats(subject::DEPLOYMENT_KEY, error))?;
    let Some(entry) = entry.filter(|entry| entry.operation == Operation::Put) else { return Ok(None) };
    let deployment: Deployment = serde_json::from_slice(&entry.value)?;
    if deployment.format != FORMAT {
        return Err(DeploymentError::Format(deployment.format));
    }
    Ok(Some((deployment, entry.revision)))
}

async fn bucket(context: &Context) -> Result<kv::Store, DeploymentError> {
    let bucket = context.get_key_value(subject::CONTROL_BUCKET).await;
    bucket.map_err(|error| DeploymentError::nats(subject::CONTROL_BUCKET, error))
}

/// Reads the record. None if there is none yet.
///
/// # Errors
/// If the centre does not answer, or the record has a format that this release does not know.
pub async fn load(context: &Context) -> Result<Option<Deployment>, DeploymentError> {
    Ok(read(&bucket(context).await?).await?.map(|(deployment, _)| deployment))
}

/// The number of shards, if the deployment was ever started.
///
/// # Errors
/// If the centre does not answer, or the record has a format that this release does not know.
pub async fn shards(context: &Context) -> Result<Option<ShardCount>, DeploymentError> {
    Ok(load(context).await?.map(|deployment| deployment.shards))
}

/// Changes the record with compare-and-set, or creates it. Writes nothing if `change` changes nothing.
///
/// # Errors
/// If the centre does not answer, or other changes keep coming first.
pub async fn change(
    context: &Context,
    change: impl Fn(Option<Deployment>) -> Deployment,
) -> Result<Deployment, DeploymentError> {
    let bucket = bucket(context).await?;
    for _ in 0..TRIES {
        let (before, revision) = read(&bucket).await?.unzip();
        let after = change(before.clone());
        if before.as_ref() == Some(&after) {
            return Ok(after);
        }
        let bytes = serde_json::to_vec(&after)?.into();
        let written = match revision {
            Some(revision) => bucket.update(subject::DEPLOYMENT_KEY, bytes, revision).await,
            // This also works after a deletion, as long as nobody wrote since.
            None => {
                let created = bucket.create(subject::DEPLOYMENT_KEY, bytes).await;
                match created {
                    Ok(_) => return Ok(after),
                    Err(_) if read(&bucket).await?.is_some() => continue,
                    Err(error) => return Err(DeploymentError::nats(subject::DEPLOYMENT_KEY, error)),
                }
            }
        };
        match written {
            Ok(_) => return Ok(after),
            Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => {}
            Err(error) => return Err(DeploymentError::nats(subject::DEPLOYMENT_KEY, error)),
        }
    }
    Err(DeploymentError::Busy)
}

impl Deployment {
    /// A deployment of so many shards, without records of streams.
    pub fn new(shards: ShardCount) -> Self {
        Self { format: FORMAT, shards, streams: BTreeMap::new() }
    }
}

/// Accepts all streams as a restore created them. They may end before what relays on other hosts have read
/// from them.
///
/// # Errors
/// If the centre does not answer.
pub async fn accept_restored(context: &Context) -> Result<(), DeploymentError> {
    let Some(deployment) = load(context).await? else { return Ok(()) };
    let mut ends = BTreeMap::new();
    for stream in deployment.streams.keys() {
        let last = find(context, stream).await?.map_or(0, |info| info.state.last_sequence);
        ends.insert(stream.clone(), Accepted::now(last));
    }
    let accepted = change(context, |known| {
        let mut deployment = known.unwrap_or_else(|| deployment.clone());
        for (stream, record) in &mut deployment.streams {
            record.accepted = ends.get(stream).cloned();
        }
        deployment
    });
    accepted.await.map(drop)
}

/// Reads the record, and creates it at the first start.
///
/// # Errors
/// [`DeploymentError::Shards`] if the deployment was started with another number of shards.
/// [`DeploymentError::Unrecorded`] if marks in its streams show that there was a record once.
pub async fn open(context: &Context, shards: ShardCount) -> Result<Deployment, DeploymentError> {
    let known = load(context).await?;
    let found = match &known {
        Some(known) => known.shards,
        None => shards_of_streams(context).await?.unwrap_or(shards),
    };
    if found != shards {
        return Err(DeploymentError::Shards { found, configured: shards });
    }
    match known {
        Some(known) => Ok(known),
        None => change(context, |known| known.unwrap_or_else(|| Deployment::new(shards))).await,
    }
}

/// The number of shards of a deployment that an earlier release started, from the streams that exist. None if
/// nothing was ever written.
async fn shards_of_streams(context: &Context) -> Result<Option<ShardCount>, DeploymentError> {
    let (mut shards, mut is_used) = (0, false);
    for shard in (0..ShardCount::MAX).map(ShardId::new) {
        let log = find(context, &subject::log_stream(shard)).await?;
        let journal = find(context, &subject::journal_stream(shard)).await?;
        if log.iter().chain(&journal).any(|info| info.config.metadata.contains_key(MADE)) {
            return Err(DeploymentError::Unrecorded);
        }
        // One of the two may have been deleted.
        if log.is_some() || journal.is_some() {
            shards = shard.get() + 1;
        }
        is_used |= log.iter().chain(&journal).any(|info| info.state.last_sequence > 0);
    }
    Ok(ShardCount::new(shards).filter(|_| is_used))
}

/// Writes the stream's identity into its metadata, and returns it.
///
/// # Errors
/// If the server refuses the change or does not answer.
pub async fn mark(context: &Context, info: &Info) -> Result<String, DeploymentError> {
    let made = made(info);
    if !info.config.metadata.contains_key(MADE) {
        let mut config: Config = info.config.clone();
        config.metadata.insert(MADE.to_owned(), made.clone());
        let updated = context.update_stream(&config).await;
        updated.map_err(|error| DeploymentError::nats(&info.config.name, error))?;
    }
    Ok(made)
}

/// Why a deployment's record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeploymentError {
    /// The configuration has another number of shards than the deployment.
    #[error(
        "this deployment has {found} shards, and the configuration says shards = {configured}: the number is fixed at the \
         first start, as each shard has its own log and regions go on filling all of them; set shards = {found}"
    )]
    Shards {
        /// The number at the first start.
        found: ShardCount,
        /// The number in the relay's configuration.
        configured: ShardCount,
    },
    /// The control bucket was lost.
    #[error(
        "the centre's streams are those of a deployment whose control bucket KV_floodgate_control is gone, and with it the \
         configuration: restore a backup of the centre, or, to begin with an empty configuration, put \
         {{\"format\":1,\"shards\":N}} under the bucket's key `deployment`"
    )]
    Unrecorded,
    /// A later release wrote the record.
    #[error("what the deployment is made of is noted in form {0}, which this release does not know")]
    Format(u32),
    /// The record is not the JSON that a relay writes.
    #[error("what the deployment is made of cannot be read")]
    Json(#[from] serde_json::Error),
    /// Other changes came first each time.
    #[error("what the deployment is made of kept changing")]
    Busy,
    /// The centre's NATS refused a request or did not answer.
    #[error("{what}: {source}")]
    Nats {
        /// The stream, bucket or key of the request.
        what: String,
        /// The error of the request.
        source: async_nats::Error,
    },
}

impl DeploymentError {
    pub(super) fn nats(what: &str, error: impl Into<async_nats::Error>) -> Self {
        Self::Nats { what: what.to_owned(), source: error.into() }
    }

    /// Returns true if the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Nats { .. } | Self::Busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(made: &str, accepted: Option<(&str, u64)>) -> StreamRecord {
        let accepted = accepted.map(|(at, through)| Accepted { at: at.to_owned(), through });
        StreamRecord { made: Some(made.to_owned()), accepted }
    }

    #[test]
    fn what_stands_of_an_earlier_history() {
        let first = noted("a", None);
        assert_eq!(first.valid_through(""), u64::MAX, "journals of earlier releases do not say");
        assert_eq!(first.valid_through(&first.identity()), u64::MAX);
        let went_back = noted("a", Some(("1", 30)));
        assert_eq!((went_back.valid_through(&first.identity()), went_back.valid_through("")), (30, 30));
        assert_eq!(noted("b", Some(("1", 30))).valid_through(&first.identity()), 0);
        assert_ne!(first.identity(), went_back.identity());
    }

    #[test]
    fn the_document_is_read_without_what_later_releases_add() {
        let text = r#"{"format":1,"shards":4,"streams":{"EVENTS_0":{"made":"a"}},"more":true}"#;
        let deployment: Deployment = serde_json::from_str(text).unwrap();
        assert_eq!((deployment.shards.get(), &deployment.streams["EVENTS_0"]), (4, &noted("a", None)));
    }
}
