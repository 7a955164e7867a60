//! Reports what a restore means for the rest of the deployment: what the relay will copy again, and what is
//! lost.

mod cursors;

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::{Info, LastRawMessageErrorKind};
use floodgate_event::snapshot::Snapshot;
use floodgate_event::{Lane, Name, ShardCount, subject};
use serde::Serialize;

pub(super) use self::cursors::{Cursors, cursors};
use super::{Error, Manifest, connection};
use crate::{Deployment, Region};
use floodgate_replicate::cursor::Cursor;
use floodgate_replicate::incarnation::next_incarnation;

/// What follows from a restore.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RestoreReport {
    /// What happens to each lane of each region.
    pub feeds: Vec<LaneReport>,
    /// The regions that did not answer, or lack streams.
    pub unknown: Vec<Name>,
    /// The regions that serve a later revision of the configuration than the centre has now.
    pub newer_configurations: Vec<NewerConfiguration>,
}

/// A region that serves a later configuration than the centre has.
#[derive(Clone, Debug, Serialize)]
pub struct NewerConfiguration {
    /// The region that serves it.
    pub region: Name,
    /// The revision that it serves.
    pub revision: u64,
}

/// What a restore means for one lane of one region.
#[derive(Clone, Debug, Serialize)]
pub struct LaneReport {
    /// The region that has the lane.
    pub region: Name,
    /// The lane of the region's stream.
    pub lane: Lane,
    /// The last block of the region's stream that any shard of the central log has. `None` if the log has
    /// none, or cannot be read.
    pub copied_through: Option<u64>,
    /// The first and last sequence of the blocks that the region has.
    pub held: (u64, u64),
    /// The number of blocks that the relay will read, some of them again.
    pub to_copy: u64,
    /// The number of blocks that are neither in the log nor in the region. `None` if that cannot be known.
    pub lost: Option<u64>,
}

/// The lane of a regional stream. `None` for any other stream.
pub(super) fn lane_of(stream: &str) -> Option<Lane> {
    Lane::ALL.into_iter().find(|&lane| subject::regional_stream(lane) == stream)
}

/// The sequence of each shard's last block in a regional stream, or 0 if it has none. Empty for any other
/// stream.
pub(super) async fn ends(context: &Context, stream: &str, shards: ShardCount) -> Result<Vec<u64>, Error> {
    let Some(lane) = lane_of(stream) else { return Ok(Vec::new()) };
    let look = |source| Error::Stream { stream: stream.to_owned(), source };
    let found = context.get_stream_no_info(stream).await.map_err(|error| look(error.into()))?;
    let mut ends = Vec::new();
    for shard in shards.ids() {
        let last = found.get_last_raw_message_by_subject(&subject::regional(lane, shard)).await;
        ends.push(match last {
            Ok(message) => message.sequence,
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => 0,
            Err(error) => return Err(look(error.into())),
        });
    }
    Ok(ends)
}

/// How many blocks of a regional stream the centre may not have, at most, given each shard's last one. 0 only
/// if each shard's log has its last one, and all of them if the centre cannot be asked.
pub(super) fn unreplicated(region: &Name, info: &Info, ends: &[u64], replicated: Option<&Cursors>) -> u64 {
    let Some(lane) = lane_of(&info.config.name) else { return 0 };
    let Some(replicated) = replicated else { return info.state.messages };
    let fits = |cursor: &Cursor| next_incarnation(cursor, info).is_none();
    let copied = |cursor: Option<Cursor>| cursor.filter(fits).map_or(0, |cursor| cursor.sequence);
    let shards = ends.iter().zip(replicated.of(region, lane).into_iter().map(copied));
    let behind: Vec<_> = shards.filter(|&(&end, copied)| end > copied).collect();
    let from = behind.iter().map(|&(_, copied)| copied).min().unwrap_or(0);
    let end = behind.iter().map(|&(&end, _)| end).max().unwrap_or(0);
    // Between the two there may be blocks of other shards.
    (end - from).min(info.state.messages.max(1))
}

/// Describes a restored centre: what the relay will copy again from each region, and what regions serve.
pub(super) async fn of_centre(deployment: &Deployment, centre: &Context) -> Result<RestoreReport, Error> {
    let mut report = RestoreReport::default();
    let replicated = cursors::cursors(centre, deployment.shards).await?.unwrap_or_default();
    let revision = cursors::revision(centre).await;
    for region in &deployment.regions {
        report.add(region, &replicated, revision, deployment.shards).await;
    }
    Ok(report)
}

/// Describes a restored region. `replaced` are the streams that existed before the restore, and `replicated`
/// is what the central log had copied by then.
pub(super) fn of_region(
    region: &Name,
    manifest: &Manifest,
    replaced: &[Info],
    replicated: Option<&Cursors>,
    shards: ShardCount,
) -> RestoreReport {
    let lanes = manifest.streams.iter();
    let feeds = lanes.filter_map(|saved| restored_lane(region, saved, replaced, replicated, shards));
    RestoreReport { feeds: feeds.collect(), ..RestoreReport::default() }
}

/// A lane of a restored region. Its stream counts as a new one, and is read from its first block.
fn restored_lane(
    region: &Name,
    saved: &super::manifest::Stream,
    replaced: &[Info],
    replicated: Option<&Cursors>,
    shards: ShardCount,
) -> Option<LaneReport> {
    let lane = lane_of(&saved.name)?;
    let same = |cursor: &Cursor| cursors::is_of(cursor, saved.created_us);
    let copied_through = replicated
        .and_then(|replicated| replicated.furthest(region, lane, same))
        .map(|cursor| cursor.sequence);
    let before = replaced.iter().find(|info| info.config.name == saved.name);
    let before = before.filter(|info| cursors::created_us(info) == saved.created_us);
    // Only the replaced stream tells how far it went. With several shards, the blocks of one tell nothing
    // about the blocks of the others before them.
    let copied = copied_through.filter(|_| shards == ShardCount::ONE).unwrap_or(0);
    let lost = before.map(|info| info.state.last_sequence.saturating_sub(saved.last_sequence.max(copied)));
    let lost = lost.filter(|&lost| shards == ShardCount::ONE || lost == 0);
    let held = (saved.first_sequence, saved.last_sequence);
    Some(LaneReport { region: region.clone(), lane, copied_through, held, to_copy: saved.messages, lost })
}

impl RestoreReport {
    /// Adds a region, as a restored centre finds it.
    async fn add(
        &mut self,
        region: &Region,
        replicated: &Cursors,
        revision: Option<u64>,
        shards: ShardCount,
    ) {
        let Ok(context) = connection::reach(&region.name, &region.nats).await else {
            self.unknown.push(region.name.clone());
            return;
        };
        for lane in Lane::ALL {
            match context.get_stream(subject::regional_stream(lane)).await {
                Ok(stream) => {
                    self.feeds.push(unchanged_lane(region, lane, stream.cached_info(), replicated, shards))
                }
                Err(_) => self.unknown.push(region.name.clone()),
            }
        }
        self.unknown.dedup();
        if let Some(there) = region_revision(&context).await.filter(|there| Some(*there) > revision) {
            self.newer_configurations
                .push(NewerConfiguration { region: region.name.clone(), revision: there });
        }
    }
}

/// A lane of a region beside a restored centre.
fn unchanged_lane(
    region: &Region,
    lane: Lane,
    info: &Info,
    replicated: &Cursors,
    shards: ShardCount,
) -> LaneReport {
    let state = &info.state;
    let same = |cursor: &Cursor| next_incarnation(cursor, info).is_none();
    let copied_through = replicated.furthest(&region.name, lane, same).map(|cursor| cursor.sequence);
    let from = copied_through.unwrap_or(0);
    // Blocks of several shards share a stream, so that gaps in one shard's numbers are normal.
    let gone =
        (shards == ShardCount::ONE).then(|| state.first_sequence.saturating_sub(1).saturating_sub(from));
    LaneReport {
        region: region.name.clone(),
        lane,
        copied_through,
        held: (state.first_sequence, state.last_sequence),
        to_copy: state.last_sequence.saturating_sub(from).min(state.messages),
        lost: if copied_through.is_some() { gone } else { gone.filter(|gone| *gone == 0) },
    }
}

async fn region_revision(context: &Context) -> Option<u64> {
    let bucket = context.get_key_value(subject::SNAPSHOT_BUCKET).await.ok()?;
    let bytes = bucket.get(subject::SNAPSHOT_KEY).await.ok()??;
    Snapshot::from_bytes(&bytes).ok().map(|snapshot| snapshot.revision)
}

#[cfg(test)]
mod tests {
    use super::*;
    use floodgate_testkit::stream_info::stream_info as info;

    fn cursor(incarnation: &str, sequence: u64) -> Cursor {
        Cursor { incarnation: incarnation.to_owned(), sequence }
    }

    fn known(incarnation: &str, sequence: u64) -> Cursors {
        Cursors::of_shards("eu", Lane::Bulk, &[cursor(incarnation, sequence)])
    }

    #[test]
    fn what_the_centre_does_not_have_is_counted() {
        let (eu, stream) = ("eu".parse().unwrap(), info("IN_BULK", 9));
        let of = |known: Cursors| unreplicated(&eu, &stream, &[9], Some(&known));
        assert_eq!(of(known("f4240", 7)), 2);
        assert_eq!(of(known("f4240", 9)), 0);
        assert_eq!(of(known("f4241", 9)), 9, "of another stream it has nothing");
        assert_eq!(unreplicated(&eu, &stream, &[9], None), 9, "nobody knows: all of it");
        assert_eq!(unreplicated(&eu, &info("KV_floodgate_snapshot", 9), &[], None), 0);
    }

    #[test]
    fn what_one_shard_has_does_not_speak_for_another() {
        let (eu, stream) = ("eu".parse().unwrap(), info("IN_BULK", 9));
        let of = |ends: [u64; 2], copied: [u64; 2]| {
            let known =
                Cursors::of_shards("eu", Lane::Bulk, &copied.map(|sequence| cursor("f4240", sequence)));
            unreplicated(&eu, &stream, &ends, Some(&known))
        };
        assert_eq!(of([9, 8], [9, 8]), 0);
        assert_eq!(of([9, 8], [9, 7]), 1, "the second shard's last one is nowhere else");
        assert_eq!(of([9, 8], [9, 2]), 6, "at most: some may be the first shard's");
        assert_eq!(of([9, 8], [7, 2]), 7);
        assert_eq!(of([9, 0], [9, 0]), 0, "a shard without blocks lacks none");
        assert_eq!(of([0, 8], [0, 8]), 0);
        let half = Cursors::of_shards("eu", Lane::Bulk, &[cursor("f4240", 9), cursor("f4241", 9)]);
        assert_eq!(unreplicated(&eu, &stream, &[9, 8], Some(&half)), 8, "the second knows another stream");
    }

    #[test]
    fn what_a_region_lost_is_known_if_the_stream_before_is() {
        let saved = super::super::manifest::Stream {
            name: "IN_BULK".into(),
            file: "f".into(),
            bytes: 0,
            sha256: floodgate_event::Digest256::of(b""),
            messages: 5,
            first_sequence: 1,
            last_sequence: 5,
            created_us: 0xf4240,
            config: serde_json::json!({}),
            state: serde_json::json!({}),
        };
        let eu = "eu".parse().unwrap();
        let lost = |replaced: &[Info], known: Cursors| {
            let feed = restored_lane(&eu, &saved, replaced, Some(&known), ShardCount::ONE).unwrap();
            (feed.copied_through, feed.lost)
        };
        let replaced = [info("IN_BULK", 9)];
        assert_eq!(lost(&replaced, known("f4240", 7)), (Some(7), Some(2)));
        assert_eq!(lost(&replaced, known("f4240", 3)), (Some(3), Some(4)));
        assert_eq!(lost(&[], known("f4240", 7)), (Some(7), None));
        assert_eq!(lost(&replaced, known("f4241", 7)), (None, Some(4)));
    }
}
