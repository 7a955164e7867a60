//! Restores a backup: checks everything before it changes anything, then restores stream by stream.

mod transfer;

use std::path::Path;

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::Info;
use floodgate_event::{Name, ShardCount};
use floodgate_replicate::incarnation::RESTORED;
use floodgate_stream::central;
use floodgate_stream::placement::Replicas;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::manifest::{Manifest, Stream};
use super::report::{self, Cursors, RestoreReport};
use super::{Error, Place, Progress, connection, folder, liveness};
use crate::Deployment;

/// What a restore may do besides filling an empty place. Nothing by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct RestoreOptions {
    /// Streams that exist may be deleted first.
    pub replace: bool,
    /// Regional streams may be deleted although the centre does not have all their blocks.
    pub discard_unreplicated: bool,
    /// A region's backup may be older than ids are remembered, so that its events are delivered again.
    pub deliver_again: bool,
    /// A region may be restored while the centre does not answer. A running relay is then not noticed.
    pub centre_is_away: bool,
    /// The number of replicas. `None` is what the configuration says, or else what the backup's streams had.
    pub replicas: Option<Replicas>,
}

/// Restores the backup in `from`. The caller must have stopped every relay, and for a region its gateways.
///
/// # Errors
/// If the backup is damaged or of another place, a relay or gateway runs, or `options` does not allow what is
/// necessary: then nothing was changed. A later error names the stream, and those before it are restored.
pub async fn restore(
    deployment: &Deployment,
    place: &Place,
    from: &Path,
    options: RestoreOptions,
    progress: &mut impl Progress,
) -> Result<(Manifest, RestoreReport), Error> {
    let manifest = check_backup(deployment, place, from, options)?;
    let context = place.connect(deployment).await?;
    let centre = reach_centre(deployment, options).await?;
    if let Some(centre) = &centre {
        liveness::check_no_relay_runs(centre, deployment.shards, deployment.lease).await?;
    }
    let existing = existing_streams(&context, &manifest).await?;
    let replicated = match (place, &centre) {
        (Place::Region(_), Some(centre)) => report::cursors(centre, deployment.shards).await?,
        _ => None,
    };
    if !existing.is_empty() && !options.replace {
        return Err(Error::StreamsExist(existing.into_iter().map(|info| info.config.name).collect()));
    }
    if let (Place::Region(region), false) = (place, options.discard_unreplicated) {
        check_replicated(&context, region, &existing, replicated.as_ref(), deployment.shards).await?;
    }

    if let Place::Region(_) = place {
        liveness::check_no_gateway_runs(&context).await?;
    }
    for stream in &manifest.streams {
        if let Some(info) = existing.iter().find(|info| info.config.name == stream.name) {
            delete(&context, info).await?;
        }
        let config = stream_config(stream, place, replicas(deployment, place, options));
        transfer::send(&context, stream, &config, from, progress).await?;
    }
    if *place == Place::Centre {
        let noted = central::accept_restored(&context).await;
        noted
            .map_err(|error| Error::Stream { stream: "the restored streams".into(), source: error.into() })?;
    }
    let report = match place {
        Place::Centre => report::of_centre(deployment, &context).await?,
        Place::Region(region) => {
            report::of_region(region, &manifest, &existing, replicated.as_ref(), deployment.shards)
        }
    };
    Ok((manifest, report))
}

/// Connects to the centre. `None` if it is away and `options` allow that.
async fn reach_centre(deployment: &Deployment, options: RestoreOptions) -> Result<Option<Context>, Error> {
    match connection::reach("centre", &deployment.nats).await {
        Ok(centre) => Ok(Some(centre)),
        Err(Error::Unreachable(_)) if options.centre_is_away => Ok(None),
        Err(Error::Unreachable(_)) => Err(Error::CentreAway),
        Err(error) => Err(error),
    }
}

fn check_backup(
    deployment: &Deployment,
    place: &Place,
    from: &Path,
    options: RestoreOptions,
) -> Result<Manifest, Error> {
    let manifest = folder::read(from)?;
    if manifest.place() != *place {
        let (found, asked) = (manifest.place().label().to_owned(), place.label().to_owned());
        return Err(Error::WrongPlace { found, asked });
    }
    if manifest.shards != deployment.shards {
        return Err(Error::WrongShardCount { found: manifest.shards, asked: deployment.shards });
    }
    let (days, window) = (manifest.age_days(), deployment.window_days);
    if manifest.region.is_some() && days >= u64::from(window) && !options.deliver_again {
        return Err(Error::PastDedupWindow { days, window });
    }
    manifest.streams.iter().try_for_each(|stream| folder::verify(from, stream))?;
    Ok(manifest)
}

/// The backup's streams that exist now.
async fn existing_streams(context: &Context, manifest: &Manifest) -> Result<Vec<Info>, Error> {
    let mut existing = Vec::new();
    for stream in &manifest.streams {
        existing.extend(connection::find(context, &stream.name).await?);
    }
    Ok(existing)
}

/// Checks that the centre has every shard's blocks of the streams that would be deleted.
async fn check_replicated(
    context: &Context,
    region: &Name,
    existing: &[Info],
    replicated: Option<&Cursors>,
    shards: ShardCount,
) -> Result<(), Error> {
    for info in existing {
        let stream = &info.config.name;
        let ends = report::ends(context, stream, shards).await?;
        let blocks = report::unreplicated(region, info, &ends, replicated);
        if blocks > 0 {
            return Err(Error::Unreplicated { stream: stream.clone(), blocks });
        }
    }
    Ok(())
}

/// Deletes a stream if it was not written since `before`.
async fn delete(context: &Context, before: &Info) -> Result<(), Error> {
    let stream = &before.config.name;
    let Some(now) = connection::find(context, stream).await? else { return Ok(()) };
    if (now.created, now.state.last_sequence) != (before.created, before.state.last_sequence) {
        return Err(Error::ChangedMeanwhile(stream.clone()));
    }
    let look = |source| Error::Stream { stream: stream.clone(), source };
    context.delete_stream(stream).await.map(drop).map_err(|error| look(error.into()))
}

/// The number of replicas that `options` asks for, or else the relay's configuration. `None` keeps the
/// backup's.
fn replicas(deployment: &Deployment, place: &Place, options: RestoreOptions) -> Option<usize> {
    let configured = match place {
        Place::Centre => deployment.replicas,
        Place::Region(name) => {
            deployment.regions.iter().find(|region| region.name == *name).and_then(|region| region.replicas)
        }
    };
    options.replicas.or(configured).map(Replicas::count)
}

/// The configuration of a restored stream. A lane's stream is marked as restored: it has the same creation
/// time as the one before, and may soon be as long, but has another history. The relay must not take it for
/// the one that it knows.
fn stream_config(stream: &Stream, place: &Place, replicas: Option<usize>) -> Value {
    let mut config = stream.config.clone();
    if let Some(replicas) = replicas {
        config["num_replicas"] = json!(replicas);
    }
    let is_lane = matches!(place, Place::Region(_)) && report::lane_of(&stream.name).is_some();
    if is_lane {
        if !config["metadata"].is_object() {
            config["metadata"] = json!({});
        }
        let now = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000;
        config["metadata"][RESTORED] = json!(format!("{now:x}"));
    }
    config
}
