//! Finding an event by its provider's id, which is what people have. An id that the signature covers leads to
//! the event's own, and so does one that the source trusts without (`dedup = "delivery"`); another one stands
//! in the log only, of which the newest part is looked through.

use std::time::Duration;

use floodgate_event::{EventId, Name};
use futures::{StreamExt as _, stream};
use tokio::time::{Instant, timeout_at};

use super::{EventLookup, FoundEvent, LookupError, log};
use crate::dedup::value::Position;

/// Messages of the log that are looked through, of all shards together.
pub const MAX_LOOKS: u64 = 10_000;
/// How long that may take.
const LOOK_LIMIT: Duration = Duration::from_secs(8);
/// Messages that are asked for at once.
const AT_ONCE: usize = 32;

impl EventLookup {
    /// The events that have this provider's id: those of sources that make events' ids of it, else the newest
    /// one that is found. Children of a split are their parent's.
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

    /// From the end of a shard's log backwards, over `most` messages at most.
    async fn look_through(
        &self,
        shard: u32,
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
            // What cannot be decoded does not hide what is behind it.
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
