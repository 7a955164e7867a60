//! Finds an event by its provider's id, which is the id that people have. If the signature covers the id, or
//! the source trusts it without that (`dedup = "delivery"`), the event's own id is computed from it. Any
//! other id is only in the log, and the newest part of the log is searched for it.

use std::time::Duration;

use floodgate_event::{EventId, Name, ShardId};
use futures::{StreamExt as _, stream};
use tokio::time::{Instant, timeout_at};

use super::{EventLookup, FoundEvent, LookupError, log};
use crate::dedup::value::Position;

/// The most messages of the log that are searched, of all shards together.
pub const MAX_LOOKS: u64 = 10_000;
/// The most time that the search may take.
const LOOK_LIMIT: Duration = Duration::from_secs(8);
/// How many messages are requested at once.
const AT_ONCE: usize = 32;

impl EventLookup {
    /// Finds the events that have this provider's id: those of sources that derive ids from it, or else the
    /// newest one that the search finds. Children of a split are found by their parent.
    ///
    /// # Errors
    /// If a ledger or the log cannot be read.
    pub async fn find_by_provider_id<'a>(
        &self,
        sources: impl Iterator<Item = (&'a Name, &'a Name)>,
        provider_id: &str,
    ) -> Result<Vec<FoundEvent>, LookupError> {
        let mut found = Vec::new();
        for (tenant, source) in sources {
            found.extend(self.find(EventId::from_provider_id(tenant, source, provider_id)).await?);
            found.extend(self.find(EventId::from_delivery(tenant, source, provider_id)).await?);
        }
        if found.is_empty() {
            let until = Instant::now() + LOOK_LIMIT;
            let most = (MAX_LOOKS / self.shards.len().max(1) as u64).max(1);
            for shard in self.shards.iter() {
                found.extend(self.look_through(shard.shard, most, until, provider_id).await?);
            }
            found.sort_by_key(|event| std::cmp::Reverse(event.appended_at_us));
            found.truncate(1);
        }
        Ok(found)
    }

    /// Searches a shard's log backwards from its end, over at most `most` messages.
    async fn look_through(
        &self,
        shard: ShardId,
        most: u64,
        until: Instant,
        provider_id: &str,
    ) -> Result<Option<FoundEvent>, LookupError> {
        let state = log(&self.context, shard).await?.get_info().await;
        let state = state.map_err(|error| LookupError::Log(error.into()))?.state;
        let first = state.first_sequence.max(state.last_sequence.saturating_sub(most - 1)).max(1);
        let newest_first = (first..=state.last_sequence).rev();
        let read = |sequence| async move { (sequence, self.replica(shard, sequence).await) };
        let mut messages = std::pin::pin!(stream::iter(newest_first).map(read).buffered(AT_ONCE));
        while let Ok(Some((sequence, logged))) = timeout_at(until, messages.next()).await {
            // A message that cannot be decoded must not hide those before it.
            let logged = match logged {
                Err(LookupError::Decode(_)) | Ok(None) => continue,
                logged => logged?,
            };
            let place = logged.as_ref().and_then(|logged| {
                let is_it = |event: &floodgate_event::proto::Event| {
                    event.provider_id == provider_id && event.parent.is_none()
                };
                logged.replica.entries.iter().position(|entry| entry.event.as_ref().is_some_and(is_it))
            });
            if let (Some(logged), Some(index)) = (logged, place.and_then(|place| u32::try_from(place).ok())) {
                return Ok(logged.take(shard, Position { sequence, index }));
            }
        }
        Ok(None)
    }
}
