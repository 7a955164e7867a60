//! The relay's host clock jumps, as Debian's libfaketime shows it to the process:
//! by 400 days for some seconds, and back.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use floodgate_testkit::{Failure, Result, Scene, outside, wait};
use http::StatusCode;
use nix::sys::signal::Signal;

use super::second_relay::{SecondRelay, TAKEOVER_LIMIT, wait_holder};

const EVENTS: u64 = 20;
/// How long the clock is wrong. The relay looks around every 5 s.
const WRONG: Duration = Duration::from_secs(8);
/// How far a time may be off that the relay writes.
const MOST_OFF: Duration = Duration::from_secs(15);

fn library() -> Result<PathBuf> {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let found =
        folders.map(|folder| folder.path().join("faketime/libfaketime.so.1")).find(|path| path.is_file());
    found.ok_or_else(|| Failure::missing("no libfaketime: apt-get install libfaketime"))
}

async fn send(scene: &Scene, numbers: std::ops::Range<u64>) -> Result<BTreeMap<u64, String>> {
    let mut acknowledged = BTreeMap::new();
    for number in numbers {
        let signed = scene.standard(&format!("clock-{number}"), format!(r#"{{"number":{number}}}"#))?;
        let region = if number % 2 == 0 { "eu" } else { "us" };
        let answer = scene.sender.post(region, &signed).await?;
        acknowledged.insert(number, answer.id.ok_or_else(|| Failure::new("not accepted"))?);
    }
    Ok(acknowledged)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_s_clock_that_jumps_400_days_ahead_puts_nothing_off() -> Result<()> {
    let library = match library() {
        Ok(library) => library,
        Err(missing) => {
            println!("SKIPPED: a_host_s_clock_that_jumps_400_days_ahead_puts_nothing_off: {missing}");
            return Ok(());
        }
    };
    Scene::play(async |scene| {
        let shown = scene.deployment.scratch().join("faketime");
        fs::write(&shown, "+0")?;
        let on = Path::new("1");
        let second = SecondRelay::start(
            &scene.deployment,
            &[
                ("LD_PRELOAD", library.as_path()),
                ("FAKETIME_TIMESTAMP_FILE", shown.as_path()),
                ("FAKETIME_NO_CACHE", on),
                ("FAKETIME_DONT_FAKE_MONOTONIC", on),
            ],
        )?;
        wait_holder(scene, "relay-1").await?;
        scene.deployment.signal("relay", Signal::SIGSTOP)?;
        wait_holder(scene, "relay-2").await?;
        let mut acknowledged = send(scene, 0..EVENTS).await?;
        arrived(scene, &acknowledged).await?;

        // What is attempted now fails, and is put off.
        scene.consumer.answer_with(StatusCode::INTERNAL_SERVER_ERROR);
        fs::write(&shown, "+400d")?;
        acknowledged.append(&mut send(scene, EVENTS..2 * EVENTS).await?);
        tokio::time::sleep(WRONG).await;
        fs::write(&shown, "+0")?;
        scene.consumer.answer_with(StatusCode::NO_CONTENT);
        acknowledged.append(&mut send(scene, 2 * EVENTS..3 * EVENTS).await?);
        // Its books say what the other one did.
        scene.deployment.signal("relay", Signal::SIGCONT)?;
        scene.balanced_books().await?;
        scene.check_arrived(&acknowledged)?;

        let log = outside::read_log(&scene.deployment).await?;
        log.check()?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)? + MOST_OFF;
        let ahead = log.appends.iter().find(|append| Duration::from_micros(append.appended_at_us) > now);
        assert!(ahead.is_none(), "stored in the future: {ahead:?}");
        drop(second);
        Ok(())
    })
    .await
}

async fn arrived(scene: &Scene, acknowledged: &BTreeMap<u64, String>) -> Result<()> {
    wait::until("all events to be delivered", TAKEOVER_LIMIT, async || {
        let counts = scene.consumer.counts();
        Ok(acknowledged.values().all(|id| counts.contains_key(id)).then_some(()))
    })
    .await
}
