//! What the deployment is made of, as a document in the control bucket.

use std::collections::BTreeMap;
use std::time::SystemTime;

use async_nats::jetstream::Context;
use async_nats::jetstream::kv::{self, Operation, UpdateErrorKind};
use async_nats::jetstream::stream::{Config, Info};
use floodgate_event::{subject, time};
use serde::{Deserialize, Serialize};

use crate::reader::is_missing;

/// What is noted in the metadata of a stream: the time of its making, in hex microseconds.
/// Unlike that time itself it comes back with a backup, also in a cluster.
pub(super) const MADE: &str = "floodgate_made";
const FORMAT: u32 = 1;
/// How often a change of the document is tried again because something else changed first.
const TRIES: usize = 8;

/// What the deployment is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    format: u32,
    /// How many shards it has, from its first start on.
    pub shards: u32,
    /// Its central streams by name.
    #[serde(default)]
    pub streams: BTreeMap<String, Noted>,
}

/// A stream as it was seen first, or when its loss was accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// Which making it is of; none until the next relay that looks.
    #[serde(default)]
    pub made: Option<String>,
    /// The last loss that was accepted.
    #[serde(default)]
    pub accepted: Option<Accepted>,
}

/// A loss that somebody accepted, or a restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// When, in hex microseconds; tells it from every other.
    pub at: String,
    /// What the stream held up to there stands.
    pub through: u64,
}

impl Noted {
    /// Tells the stream's history from every other of the same name.
    pub fn identity(&self) -> String {
        let at = self.accepted.as_ref().map_or("", |accepted| &accepted.at);
        format!("{}/{at}", self.made.as_deref().unwrap_or_default())
    }

    /// Up to where a history that began as `identity` stands in this one.
    pub fn stands_through(&self, identity: &str) -> u64 {
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
    /// A loss that is accepted now; what was read up to `through` still holds.
    pub fn now(through: u64) -> Self {
        Self { at: format!("{:x}", time::unix_micros(SystemTime::now())), through }
    }
}

/// Which making of a stream of this name it is.
pub(super) fn made(info: &Info) -> String {
    info.config.metadata.get(MADE).cloned().unwrap_or_else(|| created(info))
}

fn created(info: &Info) -> String {
    format!("{:x}", info.created.unix_timestamp_nanos() / 1_000)
}

/// The streams of a deployment that are looked after.
pub fn streams(shards: u32) -> impl Iterator<Item = String> {
    let of_shard = |shard| [subject::log_stream(shard), subject::journal_stream(shard)];
    (0..shards).flat_map(of_shard).chain([subject::SET_ASIDE_STREAM.to_owned()])
}

/// A stream, if there is one of this name.
pub async fn find(context: &Context, stream: &str) -> Result<Option<Info>, DeploymentError> {
    match context.get_stream(stream).await {
        Ok(found) => Ok(Some(found.cached_info().clone())),
        Err(error) if is_missing(&error.kind()) => Ok(None),
        Err(error) => Err(DeploymentError::nats(stream, error)),
    }
}

/// The document, with the KV revision that a change must still find; none if there is none yet.
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

/// The document; none if there is none yet.
///
/// # Errors
/// If the centre does not answer, or the document is not of this release's form.
pub async fn load(context: &Context) -> Result<Option<Deployment>, DeploymentError> {
    Ok(read(&bucket(context).await?).await?.map(|(deployment, _)| deployment))
}

/// How many shards the deployment has, if it was ever started.
///
/// # Errors
/// If the centre does not answer, or the document is not of this release's form.
pub async fn shards(context: &Context) -> Result<Option<u32>, DeploymentError> {
    Ok(load(context).await?.map(|deployment| deployment.shards))
}

/// Changes the document, or makes it of what `change` makes of none; what it leaves alone is not written.
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
            // Also where it was deleted: what counts is that nobody wrote it since.
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
    /// A deployment of so many shards, of whose streams nothing is noted yet.
    pub fn new(shards: u32) -> Self {
        Self { format: FORMAT, shards, streams: BTreeMap::new() }
    }
}

/// Takes all streams as a restore has put them back: they may end before what relays on
/// other hosts have read of them.
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
        for (stream, noted) in &mut deployment.streams {
            noted.accepted = ends.get(stream).cloned();
        }
        deployment
    });
    accepted.await.map(drop)
}

/// Reads what the deployment is made of, and notes it at its first start.
///
/// # Errors
/// [`DeploymentError::Shards`] if it was begun with another number of shards, [`DeploymentError::Unnoted`] if
/// its streams say that there was a document once.
pub async fn open(context: &Context, shards: u32) -> Result<Deployment, DeploymentError> {
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

/// Of a deployment that an earlier release began: by the streams that are there.
/// None if no writer was ever there.
async fn shards_of_streams(context: &Context) -> Result<Option<u32>, DeploymentError> {
    let (mut shards, mut is_used) = (0, false);
    for shard in 0..MAX_SHARDS {
        let log = find(context, &subject::log_stream(shard)).await?;
        let journal = find(context, &subject::journal_stream(shard)).await?;
        if log.iter().chain(&journal).any(|info| info.config.metadata.contains_key(MADE)) {
            return Err(DeploymentError::Unnoted);
        }
        // One may have been deleted; both of the last shard are not looked for.
        if log.is_some() || journal.is_some() {
            shards = shard + 1;
        }
        is_used |= log.iter().chain(&journal).any(|info| info.state.last_sequence > 0);
    }
    Ok(is_used.then_some(shards))
}

/// Marks a stream with its making.
///
/// # Errors
/// If the server refuses it or does not answer.
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

/// The most that a configuration may name.
const MAX_SHARDS: u32 = 64;

/// Why it is not known what the deployment is made of, or it is made of something else.
#[derive(Debug, thiserror::Error)]
pub enum DeploymentError {
    /// The configuration says another number than the deployment was begun with.
    #[error(
        "this deployment has {found} shards, and the configuration says shards = {configured}: the number is fixed at the \
         first start, as each shard has its own log and regions go on filling all of them; set shards = {found}"
    )]
    Shards {
        /// Noted at the first start.
        found: u32,
        /// In the relay's configuration.
        configured: u32,
    },
    /// The control bucket was lost.
    #[error(
        "the centre's streams are those of a deployment whose control bucket KV_floodgate_control is gone, and with it the \
         configuration: restore a backup of the centre, or, to begin with an empty configuration, put \
         {{\"format\":1,\"shards\":N}} under the bucket's key `deployment`"
    )]
    Unnoted,
    /// Another release's.
    #[error("what the deployment is made of is noted in form {0}, which this release does not know")]
    Format(u32),
    /// Not what was written.
    #[error("what the deployment is made of cannot be read")]
    Json(#[from] serde_json::Error),
    /// Too many changes at once.
    #[error("what the deployment is made of kept changing")]
    Busy,
    /// The centre's NATS.
    #[error("{what}: {source}")]
    Nats {
        /// A stream, bucket or key.
        what: String,
        /// Why.
        source: async_nats::Error,
    },
}

impl DeploymentError {
    pub(super) fn nats(what: &str, error: impl Into<async_nats::Error>) -> Self {
        Self::Nats { what: what.to_owned(), source: error.into() }
    }

    /// Whether waiting may help.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Nats { .. } | Self::Busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(made: &str, accepted: Option<(&str, u64)>) -> Noted {
        let accepted = accepted.map(|(at, through)| Accepted { at: at.to_owned(), through });
        Noted { made: Some(made.to_owned()), accepted }
    }

    #[test]
    fn what_stands_of_an_earlier_history() {
        let first = noted("a", None);
        assert_eq!(first.stands_through(""), u64::MAX, "journals of earlier releases do not say");
        assert_eq!(first.stands_through(&first.identity()), u64::MAX);
        let went_back = noted("a", Some(("1", 30)));
        assert_eq!((went_back.stands_through(&first.identity()), went_back.stands_through("")), (30, 30));
        assert_eq!(noted("b", Some(("1", 30))).stands_through(&first.identity()), 0);
        assert_ne!(first.identity(), went_back.identity());
    }

    #[test]
    fn the_document_is_read_without_what_later_releases_add() {
        let text = r#"{"format":1,"shards":4,"streams":{"EVENTS_0":{"made":"a"}},"more":true}"#;
        let deployment: Deployment = serde_json::from_str(text).unwrap();
        assert_eq!((deployment.shards, &deployment.streams["EVENTS_0"]), (4, &noted("a", None)));
    }
}
