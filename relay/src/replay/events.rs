//! Reads the events of a replay.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use floodgate_event::proto::event::Disposition;
use floodgate_event::proto::{Entry, Event};
use floodgate_event::{EventId, ShardId};
use floodgate_replicate::dedup::quarantine::{Key, Row};
use floodgate_replicate::lookup::{EventLookup, LookupError, Selection};
use futures::{Stream, stream};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How many rows are read from the index at a time.
const PAGE: usize = 256;

/// The part of a replay in one shard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    pub(super) shard: ShardId,
    pub(super) count: u64,
    /// The newest event when the replay started. Events that are quarantined later, perhaps by the replay
    /// itself, are not part of it.
    pub(super) through: Key,
}

/// A quarantined event to replay.
#[derive(Debug)]
pub(super) struct Quarantined {
    pub(super) id: EventId,
    pub(super) shard: ShardId,
    /// None if the log does not have the event where the index says.
    pub(super) event: Option<Event>,
}

/// Reads the quarantined events of a replay, oldest first, at its rate.
pub(super) struct QuarantinedEvents {
    lookup: EventLookup,
    selection: Selection,
    scopes: VecDeque<Scope>,
    /// The rows that were read of the first scope, and the key to continue after.
    rows: VecDeque<(Key, Row)>,
    after: Option<Key>,
    pace: Interval,
    /// The block that was read last, because neighbouring rows are often in the same block.
    block: Option<(ShardId, u64, Vec<Entry>)>,
}

impl QuarantinedEvents {
    pub(super) fn new(
        lookup: EventLookup,
        selection: Selection,
        scopes: Vec<Scope>,
        rate: NonZeroU32,
    ) -> Self {
        let mut pace = interval(Duration::from_secs(1) / rate.get());
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let scopes = scopes.into();
        Self { lookup, selection, scopes, rows: VecDeque::new(), after: None, pace, block: None }
    }

    /// Ends after the last event, or after the first error.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Quarantined, LookupError>> {
        stream::unfold(Some(self), |events| async {
            let mut events = events?;
            match events.next().await {
                Ok(Some(event)) => Some((Ok(event), Some(events))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    async fn next(&mut self) -> Result<Option<Quarantined>, LookupError> {
        while let Some(&scope) = self.scopes.front() {
            match self.rows.pop_front() {
                Some((key, row)) if key <= scope.through => {
                    self.pace.tick().await;
                    let event = self.read(scope.shard, &row).await?;
                    return Ok(Some(Quarantined { id: key.id, shard: scope.shard, event }));
                }
                Some(_) => self.next_scope(),
                None => self.turn_page(scope)?,
            }
        }
        Ok(None)
    }

    fn turn_page(&mut self, scope: Scope) -> Result<(), LookupError> {
        let Some(shard) = self.lookup.shard(scope.shard) else {
            self.next_scope();
            return Ok(());
        };
        let (selection, after) = (&self.selection, self.after);
        let read = || selection.oldest(shard.ledger.quarantine(), after, PAGE);
        let page = tokio::task::block_in_place(read)?;
        match (page.rows.last(), page.next) {
            (Some((last, _)), _) => self.after = Some(*last),
            (None, Some(next)) => self.after = Some(next),
            (None, None) => self.next_scope(),
        }
        self.rows.extend(page.rows);
        Ok(())
    }

    fn next_scope(&mut self) {
        self.scopes.pop_front();
        self.rows.clear();
        self.after = None;
    }

    async fn read(&mut self, shard: ShardId, row: &Row) -> Result<Option<Event>, LookupError> {
        let sequence = row.position.sequence;
        if self.block.as_ref().is_none_or(|(of, at, _)| (*of, *at) != (shard, sequence)) {
            let replica = self.lookup.replica(shard, sequence).await?;
            self.block = replica.map(|logged| (shard, sequence, logged.replica.entries));
        }
        let entries = self.block.as_ref().map_or(&[][..], |(_, _, entries)| entries);
        let index = usize::try_from(row.position.index).unwrap_or(usize::MAX);
        let event = entries.get(index).and_then(|entry| entry.event.as_ref());
        Ok(event.filter(|event| matches!(event.disposition, Some(Disposition::Quarantined(_)))).cloned())
    }
}
