//! What the log and the journal of the model hold, and the rule that they are held to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_nats::jetstream::Context;
use floodgate_event::proto::{
    self, Entry, Event, JournalBlock, LogBlock, Origin, Replica, Request, Verdict, log_block, record, verdict,
};
use floodgate_event::{Lane, ShardId, format, subject};
use prost::Message as _;

use super::Change;

/// An event that is stored, and what was certain by then.
pub(super) struct Stored {
    pub(super) shard: ShardId,
    pub(super) sequence: u64,
    pub(super) event_type: &'static str,
    /// The latest revision that was confirmed.
    pub(super) confirmed: u64,
    pub(super) must: BTreeSet<String>,
    pub(super) must_not: BTreeSet<String>,
}

/// What the journal says about a log block.
pub(super) struct Match {
    revision: u64,
    destinations: BTreeSet<String>,
}

/// The matches by shard and sequence in the log. Blocks that nobody gets may be missing.
pub(super) type Journal = BTreeMap<(ShardId, u64), Match>;

impl Stored {
    pub(super) fn check(&self, index: usize, journal: &Journal, changes: &[Change]) -> Vec<String> {
        let Self { shard, sequence, event_type, confirmed, must, must_not } = self;
        let (none, own) = (BTreeSet::new(), journal.get(&(*shard, *sequence)));
        let got = own.map_or(&none, |matched| &matched.destinations);
        // Where there is none for the block itself, it was matched by no later revision than the next one.
        let Some((_, at_most)) = journal.range((*shard, *sequence)..).next() else { return Vec::new() };
        // What was changed again meanwhile may hold already.
        let settled = |name: &&String| {
            let mut later =
                changes.iter().filter(|change| change.after >= index && change.destination == **name);
            later.all(|change| change.revision.is_some_and(|revision| revision > at_most.revision))
        };
        let missed = must.difference(got).filter(settled).map(|name| format!("missed by {name}"));
        let strays = must_not.intersection(got).filter(settled).map(|name| format!("matched by {name}"));
        let stale = own.filter(|own| own.revision < *confirmed);
        let stale = stale.map(|own| format!("matched by revision {}, not {confirmed}", own.revision));
        let broken = missed.chain(strays).chain(stale);
        broken.map(|what| format!("{event_type} at {sequence} of shard {shard} was {what}")).collect()
    }
}

pub(super) async fn append(centre: &Context, shard: ShardId, event_type: &str) -> u64 {
    let id: [u8; 16] = rand::random();
    let event = Event {
        id: id.to_vec(),
        tenant: "default".into(),
        source: "s".into(),
        r#type: event_type.into(),
        body_hash: vec![0; 16],
        request: Some(Request::default()),
        ..Event::default()
    };
    let verdict = Verdict { event_id: id.to_vec(), kind: verdict::Kind::Stored.into(), ..Verdict::default() };
    let lane = proto::Lane::from(Lane::Standard).into();
    let replica = Replica {
        origin: Some(Origin { region: "eu".into(), lane, ..Origin::default() }),
        entries: vec![Entry { verdict: Some(verdict), event: Some(event) }],
        ..Replica::default()
    };
    let block = LogBlock {
        version: format::VERSION,
        id: id.to_vec(),
        writer: vec![0; 16],
        content: Some(log_block::Content::Replica(replica)),
        ..LogBlock::default()
    };
    let published = centre.publish(subject::log(shard, Lane::Standard), block.encode_to_vec().into()).await;
    published.unwrap().await.unwrap().sequence
}

/// Who gets the event of each log block, by shard and sequence, as the journal says
/// once it has come to these ends.
pub(super) async fn matched(centre: &Context, ends: &BTreeMap<ShardId, u64>) -> Journal {
    let mut all = BTreeMap::new();
    for (&shard, &end) in ends {
        let stream = centre.get_stream(subject::journal_stream(shard)).await.unwrap();
        let mut sequence = 1;
        while !all.contains_key(&(shard, end)) {
            let Ok(message) = stream.get_raw_message(sequence).await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            sequence += 1;
            let block: JournalBlock = format::decode(message.payload).unwrap();
            for record in block.records {
                if let Some(record::Record::Matched(matched)) = record.record {
                    let destinations = matched.targets.into_iter().map(|target| target.destination).collect();
                    let (at, revision) = ((shard, matched.log_sequence), matched.config_revision);
                    all.insert(at, Match { revision, destinations });
                }
            }
        }
    }
    all
}
