//! What a restore means for the rest of the deployment:
//! what the relay will copy again, and what nobody has any more.

mod cursors;

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::{Info, LastRawMessageErrorKind};
use floodgate_event::snapshot::Snapshot;
use floodgate_event::{Lane, Name, subject};
use serde::Serialize;

pub(super) use self::cursors::{Cursors, cursors};
use super::{BackupError, Manifest, Place, link};
use crate::{Deployment, Region};
use floodgate_replicate::dedup::ledger::Cursor;
use floodgate_replicate::feed::next_incarnation;

/// What comes of a restore.
#[derive(Clone, Debug, Serialize)]
pub struct Outlook {
    /// By region and lane.
    pub feeds: Vec<FeedOutlook>,
    /// Regions that could not be asked.
    pub unknown: Vec<Name>,
    /// The configuration's revision in each region, where it is later than what the centre has now.
    pub newer_configurations: Vec<Newer>,
}

/// A region that serves a later configuration than the centre has.
#[derive(Clone, Debug, Serialize)]
pub struct Newer {
    /// The region.
    pub region: Name,
    /// What it has.
    pub revision: u64,
}

/// One lane of one region.
#[derive(Clone, Debug, Serialize)]
pub struct FeedOutlook {
    /// The region.
    pub region: Name,
    /// The lane.
    pub lane: Lane,
    /// The last block that the central log has of the region's stream, in whichever shard; none if it
    /// has none, or cannot be asked.
    pub copied_through: Option<u64>,
    /// The blocks that the region has: first and last sequence.
    pub held: (u64, u64),
    /// Blocks that the relay will read (again).
    pub to_copy: u64,
    /// Blocks that were lost: neither in the log nor in the region. None if that cannot be known.
    pub lost: Option<u64>,
}

/// The lane of a regional stream.
pub(super) fn lane_of(stream: &str) -> Option<Lane> {
    Lane::ALL.into_iter().find(|&lane| subject::regional_stream(lane) == stream)
}

/// Each shard's last block in a regional stream, 0 if it has none; nothing of another stream.
pub(super) async fn ends(context: &Context, stream: &str, shards: u32) -> Result<Vec<u64>, BackupError> {
    let Some(lane) = lane_of(stream) else { return Ok(Vec::new()) };
    let look = |source| BackupError::Look { stream: stream.to_owned(), source };
    let found = context.get_stream_no_info(stream).await.map_err(|error| look(error.into()))?;
    let mut ends = Vec::new();
    for shard in 0..shards {
        let last = found.get_last_raw_message_by_subject(&subject::regional(lane, shard)).await;
        ends.push(match last {
            Ok(message) => message.sequence,
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => 0,
            Err(error) => return Err(look(error.into())),
        });
    }
    Ok(ends)
}

/// How many blocks of a regional stream the centre may not have, given where each shard's end:
/// none only if each shard's log has its last one. All of them if the centre cannot be asked.
pub(super) fn unreplicated(region: &Name, info: &Info, ends: &[u64], known: Option<&Cursors>) -> u64 {
    let Some(lane) = lane_of(&info.config.name) else { return 0 };
    let Some(known) = known else { return info.state.messages };
    let fits = |cursor: &Cursor| next_incarnation(cursor, info).is_none();
    let copied = |cursor: Option<Cursor>| cursor.filter(fits).map_or(0, |cursor| cursor.sequence);
    let shards = ends.iter().zip(known.of(region, lane).into_iter().map(copied));
    let behind: Vec<_> = shards.filter(|&(&end, copied)| end > copied).collect();
    let from = behind.iter().map(|&(_, copied)| copied).min().unwrap_or(0);
    let end = behind.iter().map(|&(&end, _)| end).max().unwrap_or(0);
    // Between the two there may be blocks of other shards.
    (end - from).min(info.state.messages.max(1))
}

/// Looks at what there is after a restore. `replaced` are the streams that were there before it, `known` what
/// the log had by then, where the restore was of a region.
pub(super) async fn after(
    deployment: &Deployment,
    place: &Place,
    context: &Context,
    manifest: &Manifest,
    replaced: &[Info],
    known: Option<Cursors>,
) -> Result<Outlook, BackupError> {
    let mut outlook = Outlook { feeds: Vec::new(), unknown: Vec::new(), newer_configurations: Vec::new() };
    match place {
        Place::Region(name) => {
            outlook.feeds = manifest
                .streams
                .iter()
                .filter_map(|saved| region_feed(name, saved, replaced, known.as_ref(), deployment.shards))
                .collect();
        }
        Place::Centre => {
            let known = cursors::cursors(context, deployment.shards).await?.unwrap_or_default();
            let revision = cursors::revision(context).await;
            for region in &deployment.regions {
                outlook.add(region, &known, revision, deployment.shards).await;
            }
        }
    }
    Ok(outlook)
}

/// A lane of a region that was restored: its stream counts as a new one, and is read from its first block.
fn region_feed(
    region: &Name,
    saved: &super::manifest::Stream,
    replaced: &[Info],
    known: Option<&Cursors>,
    shards: u32,
) -> Option<FeedOutlook> {
    let lane = lane_of(&saved.name)?;
    let same = |cursor: &Cursor| cursors::is_of(cursor, saved.created_us);
    let copied_through =
        known.and_then(|known| known.furthest(region, lane, same)).map(|cursor| cursor.sequence);
    let before = replaced.iter().find(|info| info.config.name == saved.name);
    let before = before.filter(|info| cursors::created_us(info) == saved.created_us);
    // Without the stream that was replaced nobody can say how far it went.
    // Of several shards, what one has says nothing of the others' blocks before it.
    let copied = copied_through.filter(|_| shards == 1).unwrap_or(0);
    let lost = before.map(|info| info.state.last_sequence.saturating_sub(saved.last_sequence.max(copied)));
    let lost = lost.filter(|&lost| shards == 1 || lost == 0);
    let held = (saved.first_sequence, saved.last_sequence);
    Some(FeedOutlook { region: region.clone(), lane, copied_through, held, to_copy: saved.messages, lost })
}

impl Outlook {
    /// What a region means for a restored centre.
    async fn add(&mut self, region: &Region, known: &Cursors, revision: Option<u64>, shards: u32) {
        let Ok(context) = link::reach(&region.name, &region.nats).await else {
            self.unknown.push(region.name.clone());
            return;
        };
        for lane in Lane::ALL {
            match context.get_stream(subject::regional_stream(lane)).await {
                Ok(stream) => self.feeds.push(centre_feed(region, lane, stream.cached_info(), known, shards)),
                Err(_) => self.unknown.push(region.name.clone()),
            }
        }
        self.unknown.dedup();
        if let Some(there) = region_revision(&context).await.filter(|there| Some(*there) > revision) {
            self.newer_configurations.push(Newer { region: region.name.clone(), revision: there });
        }
    }
}

fn centre_feed(region: &Region, lane: Lane, info: &Info, known: &Cursors, shards: u32) -> FeedOutlook {
    let state = &info.state;
    let same = |cursor: &Cursor| next_incarnation(cursor, info).is_none();
    let copied_through = known.furthest(&region.name, lane, same).map(|cursor| cursor.sequence);
    let from = copied_through.unwrap_or(0);
    // Blocks of several shards share a stream, so that gaps in one shard's numbers mean nothing.
    let gone = (shards == 1).then(|| state.first_sequence.saturating_sub(1).saturating_sub(from));
    FeedOutlook {
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
            sha256: floodgate_event::snapshot::Digest256::of(b""),
            messages: 5,
            first_sequence: 1,
            last_sequence: 5,
            created_us: 0xf4240,
            config: serde_json::json!({}),
            state: serde_json::json!({}),
        };
        let eu = "eu".parse().unwrap();
        let lost = |replaced: &[Info], known: Cursors| {
            let feed = region_feed(&eu, &saved, replaced, Some(&known), 1).unwrap();
            (feed.copied_through, feed.lost)
        };
        let replaced = [info("IN_BULK", 9)];
        assert_eq!(lost(&replaced, known("f4240", 7)), (Some(7), Some(2)));
        assert_eq!(lost(&replaced, known("f4240", 3)), (Some(3), Some(4)));
        assert_eq!(lost(&[], known("f4240", 7)), (Some(7), None));
        assert_eq!(lost(&replaced, known("f4241", 7)), (None, Some(4)));
    }
}
