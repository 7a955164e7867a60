//! The books notice what was done behind Floodgate's back.

use std::time::Duration;

use floodgate_testkit::load::{Load, Plan};
use floodgate_testkit::{Result, Scene, outside, wait};

const EVENTS: u64 = 200;
/// Until the books show it.
const NOTICE_LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_message_puts_the_books_off_by_its_events() -> Result<()> {
    Scene::play(async |scene| {
        let plan = Plan { numbers: 0..EVENTS, ..scene.load(&["eu", "us"]) };
        Load::start(&scene.sender, plan).complete().await?;
        let before = scene.balanced_books().await?;
        assert_eq!(before.events.stored, EVENTS);

        let log = outside::read_log(&scene.deployment).await?;
        let victim = log.entries[log.entries.len() / 2].sequence;
        let events = log.entries.iter().filter(|entry| entry.sequence == victim).count();
        let stream = scene.deployment.centre_nats().await?.get_stream("EVENTS_0").await?;
        stream.delete_message(victim).await?;

        wait::until(format!("books that are off by {events}"), NOTICE_LIMIT, async || {
            let books = scene.admin.books().await?;
            Ok((books.events.difference() == events as i128).then_some(()))
        })
        .await?;
        let after = scene.admin.books().await?;
        assert_eq!(after.events.accepted, EVENTS, "what was accepted is still known");
        Ok(())
    })
    .await
}
