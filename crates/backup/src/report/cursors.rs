//! How far the central log has copied each region. It is read from the log's own messages, because no relay
//! runs that could be asked.

use std::collections::HashMap;

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::Info;
use floodgate_control::Configuration;
use floodgate_event::{Lane, Name, ShardCount, ShardId, subject};
use floodgate_replicate::cursor::{Cursor, RegionLane};
use floodgate_replicate::cursors::LogCursors;
use floodgate_stream::reader::{ReadError, StreamReader};

use super::super::{Error, connection};

/// The last block of each region's lane that the log has, by shard: blocks of all shards share a region's
/// stream, and each shard's log has only its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cursors(Vec<HashMap<RegionLane, Cursor>>);

impl Cursors {
    /// The cursors of one region's lane, in each shard's log.
    pub(super) fn of(&self, region: &Name, lane: Lane) -> Vec<Option<Cursor>> {
        let feed = RegionLane { region: region.to_string(), lane };
        self.0.iter().map(|shard| shard.get(&feed).cloned()).collect()
    }

    /// The furthest cursor of one region's lane for which `fits` holds.
    pub(super) fn furthest(
        &self,
        region: &Name,
        lane: Lane,
        fits: impl Fn(&Cursor) -> bool,
    ) -> Option<Cursor> {
        let cursors = self.of(region, lane).into_iter().flatten().filter(fits);
        cursors.max_by_key(|cursor| cursor.sequence)
    }

    #[cfg(test)]
    pub(super) fn of_shards(region: &str, lane: Lane, cursors: &[Cursor]) -> Self {
        let shard =
            |cursor: &Cursor| [(RegionLane { region: region.to_owned(), lane }, cursor.clone())].into();
        Self(cursors.iter().map(shard).collect())
    }

    fn add(&mut self, shard: LogCursors) {
        self.0.push(shard.into_cursors());
    }
}

/// Returns true if a cursor belongs to a stream that was created at this time, restored or not.
pub(super) fn is_of(cursor: &Cursor, created_us: u64) -> bool {
    let made = cursor.incarnation.split(['-', '.']).next();
    made == Some(&format!("{created_us:x}"))
}

/// When a stream was created. Unix time in microseconds.
pub(super) fn created_us(info: &Info) -> u64 {
    u64::try_from(info.created.unix_timestamp_nanos() / 1_000).unwrap_or(0)
}

/// Reads every shard's log. `None` if the centre has no log.
pub(crate) async fn cursors(centre: &Context, shards: ShardCount) -> Result<Option<Cursors>, Error> {
    let mut cursors = Cursors::default();
    for shard in shards.ids() {
        let stream = subject::log_stream(shard);
        let Some(found) = connection::find(centre, &stream).await? else { return Ok(None) };
        let last = found.state.last_sequence;
        let read = read(centre, shard, last).await;
        cursors.add(read.map_err(|error| Error::Stream { stream, source: error.into() })?);
    }
    Ok(Some(cursors))
}

async fn read(centre: &Context, shard: ShardId, last: u64) -> Result<LogCursors, ReadError> {
    let reader = |filter: String| StreamReader::new(centre.clone(), subject::log_stream(shard), filter, 1);
    let mut cursors = LogCursors::default();
    let replicas = reader(subject::log_wildcard(shard)).headers_only();
    replicas.scan(last, |message| cursors.note_replica(message)).await?;
    let control = reader(subject::log_control(shard));
    control.scan(last, |message| cursors.note_control(message)).await?;
    Ok(cursors)
}

/// The revision of the configuration that the centre has.
pub(super) async fn revision(centre: &Context) -> Option<u64> {
    let bucket = centre.get_key_value(subject::CONTROL_BUCKET).await.ok()?;
    let bytes = bucket.get(subject::CONTROL_KEY).await.ok()??;
    Configuration::from_bytes(&bytes).ok().map(|configuration| configuration.revision)
}
