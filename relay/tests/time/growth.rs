//! The ledger's size, day after day: it must level off, on the relay that writes and on the one that follows.
//!
//! By default the test is short. `FLOODGATE_GROWTH_EVENTS=200000` and `FLOODGATE_GROWTH_DAYS=40` make it a
//! long one.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use floodgate_event::Lane;
use floodgate_testkit::Failure;

use super::site::{Relay, Result, SHARD, Site, feed, id, until};
use super::world::World;

const WINDOW_DAYS: u32 = 2;
const EVENTS: u64 = 24_000;
const DAYS: u64 = 12;
const EVENTS_PER_BLOCK: u64 = 100;
/// The bytes of write-ahead logs: those that wait to be removed, and the one that is written.
const MAX_LOGS: u64 = 3 * 64 * 1024 * 1024;
/// The bytes in the storage engine's own list for each partition, including those that are gone.
const MAX_PER_DAY: u64 = 64 * 1024;
const STEPS_PER_DAY: u32 = 86_400 / 5;

fn chosen(variable: &str, otherwise: u64) -> Result<u64> {
    Ok(std::env::var(variable).map_or(Ok(otherwise), |text| text.parse())?)
}

/// The bytes that a folder's files take on disk: those with this suffix, or all others.
fn size(folder: &Path, ending: &str, ends_so: bool) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    // The storage engine may remove a file meanwhile.
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size(&entry.path(), ending, ends_so),
        Ok(meta) if entry.file_name().to_string_lossy().ends_with(ending) == ends_so => meta.blocks() * 512,
        Ok(_) | Err(_) => 0,
    };
    entries.map(of).sum()
}

/// The resident bytes of this process, which include the memory of both ledgers.
fn resident() -> Result<u64> {
    let pages = fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = pages.split(' ').nth(1).ok_or_else(|| Failure::new("no resident pages"))?.parse()?;
    Ok(pages * 4_096)
}

/// The size of a ledger at the end of a day.
#[derive(Clone, Copy, Debug)]
struct Look {
    ids: u64,
    /// The bytes on disk apart from the write-ahead logs.
    tables: u64,
    logs: u64,
}

impl Look {
    fn at(relay: &Relay, numbers: u64) -> Result<Self> {
        let mut ids = 0;
        for number in 0..numbers {
            ids += u64::from(relay.ledger.find(id(number))?.is_some());
        }
        let folder = relay.folder.path();
        Ok(Self { ids, tables: size(folder, ".jnl", false), logs: size(folder, ".jnl", true) })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_levels_off_on_the_writer_and_on_a_standby() -> Result {
    let Some(site) = Site::start("a_ledger_levels_off", 1).await? else { return Ok(()) };
    let events = chosen("FLOODGATE_GROWTH_EVENTS", EVENTS)?;
    let days = chosen("FLOODGATE_GROWTH_DAYS", DAYS)?;
    let world = World::new(&["eu"]);
    let clock = world.clock();
    world.answer(&clock);
    let mut writer = Relay::start(&site, "writer", clock.clone())?;
    let standby = Relay::start(&site, "standby", clock.clone())?;
    writer.write(&site, || world.answer(&clock)).await?;

    let (mut number, mut looks) = (0, Vec::new());
    for day in 1..=days {
        let mut last = 0;
        while number < events * day / days {
            let numbers: Vec<u64> = (number..number + EVENTS_PER_BLOCK).collect();
            last = site.publish(Lane::Standard, SHARD, &numbers).await?;
            number += EVENTS_PER_BLOCK;
        }
        until("the day to be replicated", || writer.has_replicated(Lane::Standard, last)).await?;
        world.run(&clock, STEPS_PER_DAY);
        let (now, feeds) = (world.truth(), Lane::ALL.map(feed));
        until("the region to be replicated through", || writer.progress.through_us(&feeds) >= now).await?;
        if let Some(day) = writer.forget(WINDOW_DAYS).await? {
            let have_forgotten = || !writer.ledger.has_before(day) && !standby.ledger.has_before(day);
            until("both to have forgotten", have_forgotten).await?;
        }
        until("the standby to be level", || standby.has_replicated(Lane::Standard, last)).await?;
        let (writes, follows) = (Look::at(&writer, number)?, Look::at(&standby, number)?);
        println!("day {day}, {number} events: {writes:?}, {follows:?}");
        looks.push((writes, follows, resident()?));
    }
    let per_day = events / days + EVENTS_PER_BLOCK;
    let (before, after) = looks.split_at(looks.len() / 2);
    for of in [|look: &(Look, Look, u64)| look.0, |look: &(Look, Look, u64)| look.1] {
        let most = |part: &[_], bytes: fn(&Look) -> u64| part.iter().map(|look| bytes(&of(look))).max();
        let ids = most(&looks, |look| look.ids).unwrap_or(0);
        assert!(
            ids <= per_day * (u64::from(WINDOW_DAYS) + 1),
            "{ids} ids are known, {per_day} come in a day"
        );
        let tables = |part| most(part, |look: &Look| look.tables).unwrap_or(0);
        let (earlier, later) = (tables(before), tables(after));
        assert!(later <= earlier + days * MAX_PER_DAY, "{earlier} B, and then {later} B");
        assert!(most(&looks, |look| look.logs).unwrap_or(0) <= MAX_LOGS);
    }
    let most = |part: &[(Look, Look, u64)]| part.iter().map(|look| look.2).max().unwrap_or(0);
    let (earlier, later) = (most(before), most(after));
    println!("resident: {earlier} B, and then {later} B");
    assert!(later <= earlier + earlier / 2, "memory grows: {earlier} B, and then {later} B");
    assert_eq!(standby.ledger.cut().cursors, writer.ledger.cut().cursors);
    Ok(())
}
