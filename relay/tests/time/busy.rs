//! How far a region is replicated must be known even if a reader never reaches the end of the stream.

use floodgate_event::{Lane, ShardCount, ShardId};
use floodgate_replicate::metrics::ReplicationMetrics;
use floodgate_replicate::writer::Work;
use floodgate_testkit::Failure;
use tokio::sync::mpsc;

use super::site::{Relay, Result, SHARD, Site, feed, until};
use super::world::World;

fn metrics() -> Result<ReplicationMetrics> {
    Ok(ReplicationMetrics::register(&prometheus::Registry::new())?)
}

/// Whenever a block is read, two more arrive, so the stream's end is always further on.
#[tokio::test(flavor = "multi_thread")]
async fn a_region_whose_reader_is_never_idle_is_replicated_through() -> Result {
    let Some(site) = Site::start("a_region_whose_reader_is_never_idle", 1).await? else { return Ok(()) };
    let world = World::new(&[]);
    let clock = world.clock();
    world.run(&clock, 1);
    let relay = Relay::start(&site, "relay", clock.clone())?;
    let (work, mut inbox) = mpsc::channel(1);
    let reading = tokio::spawn(relay.reader(Lane::Standard, ShardCount::ONE, work, metrics()?).run());
    site.publish(Lane::Standard, SHARD, &[0]).await?;
    let began = world.truth();
    let through = || relay.progress.through_us(&[feed(Lane::Standard)]);
    let mut number = 1;
    while through() < began + 60_000_000 {
        match inbox.recv().await.ok_or_else(|| Failure::new("the reader ended"))? {
            Work::Replicate { .. } => {
                for _ in 0..2 {
                    site.publish(Lane::Standard, SHARD, &[number]).await?;
                    number += 1;
                }
            }
            Work::Begin { .. } => {}
            other => return Err(Failure::new(format!("not asked for: {other:?}"))),
        }
        world.run(&clock, 1);
        assert!(number < 5_000, "in all this time the region was never replicated through");
    }
    assert!(through() <= world.truth());
    reading.abort();
    Ok(())
}

/// The end of the stream belongs to another shard.
#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_only_another_shard_uses_is_replicated_through() -> Result {
    let Some(site) = Site::start("a_lane_that_only_another_shard_uses", 2).await? else { return Ok(()) };
    let world = World::new(&[]);
    let clock = world.clock();
    world.run(&clock, 1);
    for number in 0..5 {
        site.publish(Lane::Bulk, ShardId::new(1), &[number]).await?;
    }
    let relay = Relay::start(&site, "relay", clock.clone())?;
    let (work, mut inbox) = mpsc::channel(16);
    let reading = tokio::spawn(relay.reader(Lane::Bulk, ShardCount::try_from(2)?, work, metrics()?).run());
    let through = || relay.progress.through_us(&[feed(Lane::Bulk)]);
    until("the lane to be replicated through", || through() == world.truth()).await?;

    // A block of its own that was not read yet holds it up, however many blocks of the other shard follow.
    world.run(&clock, 1);
    let before = world.truth();
    while inbox.try_recv().is_ok() {}
    for number in 5..40 {
        site.publish(Lane::Bulk, SHARD, &[number]).await?;
    }
    site.publish(Lane::Bulk, ShardId::new(1), &[40]).await?;
    until("the inbox to be full", || inbox.len() == 16).await?;
    world.run(&clock, 100);
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(through() <= before, "19 blocks are not handed over");
    tokio::spawn(async move { while inbox.recv().await.is_some() {} });
    until("the lane to be replicated through again", || through() == world.truth()).await?;
    reading.abort();
    Ok(())
}
