//! Who takes a free lease: not a relay that is far behind while another is level.

use std::sync::Arc;

use async_nats::HeaderMap;
use floodgate_clock::Clock;
use floodgate_deliver::DeliveryIndex;
use floodgate_event::proto::log_block::Content;
use floodgate_event::proto::{Entry, Event, LogBlock, Replica, Verdict, verdict};
use floodgate_event::{Lane, subject};
use floodgate_relay::readiness::{NEARLY_LEVEL, Standby};
use floodgate_replicate::dedup::ledger::Ledger;
use floodgate_replicate::log::ShardLog;
use floodgate_stream::lease::Readiness as _;
use floodgate_testkit::Failure;
use futures::future::try_join_all;
use prost::Message as _;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::site::{LEASE, Result, SHARD, Site, id, until};

/// What a relay has on its disk.
struct State {
    log: ShardLog,
    standby: Standby,
    _folder: TempDir,
}

impl State {
    fn empty(site: &Site) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let ledger = Arc::new(Ledger::open(&folder.path().join("ledger"))?);
        let deliveries = Arc::new(DeliveryIndex::open(folder.path(), SHARD)?);
        let standby = Standby::new(site.context.clone(), SHARD, Arc::clone(&ledger), deliveries);
        let clock = Clock::new(None);
        let log = ShardLog { centre: site.context.clone(), shard: SHARD, ledger, clock };
        Ok(Self { log, standby, _folder: folder })
    }
}

/// A log that takes a while to fold.
async fn fill(site: &Site) -> Result<u64> {
    let blocks = NEARLY_LEVEL + 1;
    let mut acks = Vec::new();
    for number in 0..blocks {
        let id = id(number).as_bytes().to_vec();
        let mut verdict = Verdict { event_id: id.clone(), ..Verdict::default() };
        verdict.set_kind(verdict::Kind::Stored);
        let event = Event { id, ..Event::default() };
        let entries = vec![Entry { verdict: Some(verdict), event: Some(event) }];
        let origin = Some(floodgate_event::proto::Origin {
            region: "eu".to_owned(),
            incarnation: "a".to_owned(),
            lane: floodgate_event::proto::Lane::Standard.into(),
            sequence: number + 1,
        });
        let content = Some(Content::Replica(Replica { origin, entries, ..Replica::default() }));
        let (id, writer) = (number.to_be_bytes().repeat(2), vec![1; 16]);
        let block = LogBlock { version: 1, id, writer, epoch: 1, appended_at_us: 1, content };
        let target = subject::log(SHARD, Lane::Standard);
        let payload = block.encode_to_vec().into();
        acks.push(site.context.publish_with_headers(target, HeaderMap::new(), payload).await?.into_future());
    }
    try_join_all(acks).await?;
    Ok(blocks)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_relay_leaves_the_lease_to_a_warm_one_and_takes_it_where_there_is_none() -> Result {
    let Some(site) = Site::start("a_cold_relay_leaves_the_lease", 1).await? else { return Ok(()) };
    let blocks = fill(&site).await?;
    let (warm, cold) = (State::empty(&site)?, State::empty(&site)?);
    let fold = async |state: &State| {
        let followed = state.log.follow();
        let level = until("the log to be folded", || state.log.ledger.read_through() == blocks);
        tokio::select! {
            _ = followed => Err(Failure::new("following ended")),
            level = level => level,
        }
    };
    fold(&warm).await?;
    assert!(warm.standby.is_ready().await && !cold.standby.is_ready().await);

    // The cold one was there first.
    let shutdown = CancellationToken::new();
    let (first, second) = (site.contender("cold").await?, site.contender("warm").await?);
    let mut cold_takes = Box::pin(first.acquire_when(&cold.standby, &shutdown));
    let looked = tokio::time::timeout(LEASE, &mut cold_takes).await;
    assert!(looked.is_err(), "the lease is free, and it is not level");
    let lease = tokio::select! {
        lease = second.acquire_when(&warm.standby, &shutdown) => lease.ok_or_else(|| Failure::new("no lease"))?,
        _ = &mut cold_takes => return Err(Failure::new("the cold one took it")),
    };
    assert_eq!(lease.epoch(), 1);

    // The warm one goes, and does not come back.
    lease.give_up();
    let (folded, lease) = tokio::join!(fold(&cold), cold_takes);
    folded?;
    assert_eq!(lease.ok_or_else(|| Failure::new("no lease"))?.epoch(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_cannot_be_decoded_does_not_keep_a_relay_cold() -> Result {
    let Some(site) = Site::start("a_block_that_cannot_be_decoded", 1).await? else { return Ok(()) };
    let mut acks = Vec::new();
    for _ in 0..=NEARLY_LEVEL {
        let target = subject::log(SHARD, Lane::Standard);
        acks.push(site.context.publish(target, "no block".into()).await?.into_future());
    }
    try_join_all(acks).await?;
    let state = State::empty(&site)?;
    assert!(!state.standby.is_ready().await);
    tokio::select! {
        _ = state.log.follow() => return Err(Failure::new("following ended")),
        read = until("the log to be read", || state.log.ledger.read_through() > NEARLY_LEVEL) => read?,
    }
    assert!(state.standby.is_ready().await);
    Ok(())
}
