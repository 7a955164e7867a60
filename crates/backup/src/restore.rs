//! Putting a backup back: everything is looked at before anything is touched, then stream by stream.

mod transfer;

use std::path::Path;

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::Info;
use floodgate_event::Name;
use floodgate_replicate::feed::RESTORED;
use floodgate_stream::central;
use floodgate_stream::placement::Replicas;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::manifest::{Manifest, Stream};
use super::outlook::{self, Cursors, Outlook};
use super::{BackupError, Place, Progress, folder, guard, link};
use crate::Deployment;

/// What a restore may do beyond filling a place that is empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Permits {
    /// Streams that are there may be deleted first.
    pub replace: bool,
    /// Also regional ones with blocks that the centre does not have.
    pub discard_unreplicated: bool,
    /// Also a region's backup that is older than ids are remembered.
    pub deliver_again: bool,
    /// A region's restore goes on without the centre, if that does not answer:
    /// nobody sees then whether a relay runs.
    pub centre_is_away: bool,
    /// Another number of replicas than the configuration says, or else the backup's streams had.
    pub replicas: Option<Replicas>,
}

/// Puts the backup in `from` back. Whoever asks must have stopped every relay, and a region's gateways.
///
/// # Errors
/// If the backup is damaged or of another place, a relay runs, or something is in the way that `permits` does
/// not name: then nothing was touched. Later ones name the stream; those before it are restored.
pub async fn restore(
    deployment: &Deployment,
    place: &Place,
    from: &Path,
    permits: Permits,
    progress: &mut impl Progress,
) -> Result<(Manifest, Outlook), BackupError> {
    let manifest = check_backup(deployment, place, from, permits)?;
    let context = place.connect(deployment).await?;
    let centre = reach_centre(deployment, permits).await?;
    if let Some(centre) = &centre {
        guard::no_relay_runs(centre, deployment.shards, deployment.lease).await?;
    }
    let there = look(&context, &manifest).await?;
    let known = match (place, &centre) {
        (Place::Region(_), Some(centre)) => outlook::cursors(centre, deployment.shards).await?,
        _ => None,
    };
    if !there.is_empty() && !permits.replace {
        return Err(BackupError::Present(there.into_iter().map(|info| info.config.name).collect()));
    }
    if let (Place::Region(region), false) = (place, permits.discard_unreplicated) {
        check_replicated(&context, region, &there, known.as_ref(), deployment.shards).await?;
    }

    if let Place::Region(_) = place {
        guard::no_gateway_runs(&context).await?;
    }
    for stream in &manifest.streams {
        if let Some(info) = there.iter().find(|info| info.config.name == stream.name) {
            delete(&context, info).await?;
        }
        let wanted = wanted(stream, place, replicas(deployment, place, permits));
        transfer::send(&context, stream, &wanted, from, progress).await?;
    }
    if *place == Place::Centre {
        let noted = central::accept_restored(&context).await;
        noted.map_err(|error| BackupError::Look {
            stream: "the restored streams".into(),
            source: error.into(),
        })?;
    }
    let outlook = outlook::after(deployment, place, &context, &manifest, &there, known).await?;
    Ok((manifest, outlook))
}

/// The centre; none if it is away and need not be asked.
async fn reach_centre(deployment: &Deployment, permits: Permits) -> Result<Option<Context>, BackupError> {
    match link::reach("centre", &deployment.nats).await {
        Ok(centre) => Ok(Some(centre)),
        Err(BackupError::Unreachable(_)) if permits.centre_is_away => Ok(None),
        Err(BackupError::Unreachable(_)) => Err(BackupError::CentreAway),
        Err(error) => Err(error),
    }
}

fn check_backup(
    deployment: &Deployment,
    place: &Place,
    from: &Path,
    permits: Permits,
) -> Result<Manifest, BackupError> {
    let manifest = folder::read(from)?;
    if manifest.place() != *place {
        let (found, asked) = (manifest.place().label().to_owned(), place.label().to_owned());
        return Err(BackupError::AnotherPlace { found, asked });
    }
    if manifest.shards != deployment.shards {
        return Err(BackupError::AnotherShape { found: manifest.shards, asked: deployment.shards });
    }
    let (days, window) = (manifest.age_days(), deployment.window_days);
    if manifest.region.is_some() && days >= u64::from(window) && !permits.deliver_again {
        return Err(BackupError::PastWindow { days, window });
    }
    manifest.streams.iter().try_for_each(|stream| folder::verify(from, stream))?;
    Ok(manifest)
}

/// Which of the backup's streams are there.
async fn look(context: &Context, manifest: &Manifest) -> Result<Vec<Info>, BackupError> {
    let mut there = Vec::new();
    for stream in &manifest.streams {
        there.extend(link::find(context, &stream.name).await?);
    }
    Ok(there)
}

/// Whether the centre has every shard's blocks of the streams that would be deleted.
async fn check_replicated(
    context: &Context,
    region: &Name,
    there: &[Info],
    known: Option<&Cursors>,
    shards: u32,
) -> Result<(), BackupError> {
    for info in there {
        let stream = &info.config.name;
        let ends = outlook::ends(context, stream, shards).await?;
        let blocks = outlook::unreplicated(region, info, &ends, known);
        if blocks > 0 {
            return Err(BackupError::Unreplicated { stream: stream.clone(), blocks });
        }
    }
    Ok(())
}

/// Deletes a stream if it still is as it was looked at.
async fn delete(context: &Context, before: &Info) -> Result<(), BackupError> {
    let stream = &before.config.name;
    let Some(now) = link::find(context, stream).await? else { return Ok(()) };
    if (now.created, now.state.last_sequence) != (before.created, before.state.last_sequence) {
        return Err(BackupError::Written(stream.clone()));
    }
    let look = |source| BackupError::Look { stream: stream.clone(), source };
    context.delete_stream(stream).await.map(drop).map_err(|error| look(error.into()))
}

/// What was asked for, else what the relay's configuration says, else what the stream had.
fn replicas(deployment: &Deployment, place: &Place, permits: Permits) -> Option<usize> {
    let configured = match place {
        Place::Centre => deployment.replicas,
        Place::Region(name) => {
            deployment.regions.iter().find(|region| region.name == *name).and_then(|region| region.replicas)
        }
    };
    permits.replicas.or(configured).map(Replicas::count)
}

/// The configuration that the stream gets. A regional one is marked: it has the age of the one before, and
/// may soon be as long, and yet another history, which the relay must not take for the one it knows.
fn wanted(stream: &Stream, place: &Place, replicas: Option<usize>) -> Value {
    let mut config = stream.config.clone();
    if let Some(replicas) = replicas {
        config["num_replicas"] = json!(replicas);
    }
    let is_lane = matches!(place, Place::Region(_)) && outlook::lane_of(&stream.name).is_some();
    if is_lane {
        if !config["metadata"].is_object() {
            config["metadata"] = json!({});
        }
        let now = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000;
        config["metadata"][RESTORED] = json!(format!("{now:x}"));
    }
    config
}
