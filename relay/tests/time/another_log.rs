//! A log that was lost and made anew between two looks at it.

use std::collections::BTreeMap;

use floodgate_event::proto::log_block::Content;
use floodgate_event::proto::verdict::Kind;
use floodgate_event::{Lane, subject};

use super::site::{Relay, Result, SHARD, Site, until};
use super::world::World;

const EVENTS: u64 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_of_the_log_before_is_not_written_by() -> Result {
    let Some(site) = Site::start("a_ledger_of_the_log_before", 1).await? else { return Ok(()) };
    let world = World::new(&[]);
    let clock = world.clock();
    world.run(&clock, 1);
    let mut relay = Relay::start(&site, "relay", clock.clone())?;
    relay.write(&site, || world.answer(&clock)).await?;
    for number in 0..EVENTS {
        site.publish(Lane::Standard, SHARD, &[number]).await?;
    }
    until("the events to be in the log", || relay.has_replicated(Lane::Standard, EVENTS)).await?;
    relay.stand_down().await?;

    site.context.delete_stream(subject::log_stream(SHARD)).await?;
    site.provision(1).await?;
    relay.write(&site, || world.answer(&clock)).await?;
    for copy in 1..=2 {
        site.publish(Lane::Standard, SHARD, &[EVENTS]).await?;
        until("the copy to be in the log", || relay.has_replicated(Lane::Standard, EVENTS + copy)).await?;
    }
    let stored = stored(&site).await?;
    assert_eq!(stored.len() as u64, EVENTS + 1, "what the region still has is in the new log too");
    assert!(stored.values().all(|&times| times == 1), "{stored:?}");
    Ok(())
}

/// How often the log has each event as stored.
async fn stored(site: &Site) -> Result<BTreeMap<Vec<u8>, u32>> {
    let mut stored = BTreeMap::new();
    for block in site.log(1).await? {
        let Some(Content::Replica(replica)) = block.content else { continue };
        for verdict in replica.entries.into_iter().filter_map(|entry| entry.verdict) {
            if verdict.kind() == Kind::Stored {
                *stored.entry(verdict.event_id).or_default() += 1;
            }
        }
    }
    Ok(stored)
}
