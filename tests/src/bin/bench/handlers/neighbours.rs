//! What a handler's neighbours notice of it when it misbehaves:
//! answers of a source with a decent handler, while another source of the same gateway gets events too.
//! All at fixed rates; a time counts from when its request was due.

use std::time::{Duration, Instant};

use floodgate_testkit::{Result, Scene, Sender};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::{bind, event};
use crate::times::{median, milliseconds, percentile};

/// What the other source has, and how many events a second it gets. `spin` takes its whole 50 ms each time:
/// at 10 a second half a processor.
const OTHERS: [(&str, u64); 5] = [("none", 0), ("decent", 10), ("spin", 10), ("exhaust", 10), ("panic", 10)];
/// Rounds of each; they alternate, so that whatever else the machine does hits all alike.
const ROUNDS: usize = 7;
/// Of each round.
const LENGTH: Duration = Duration::from_secs(3);
/// The source of the decent handler, and its events a second, from each of so many senders.
const NEIGHBOUR: &str = "neighbour";
const RATE: u64 = 50;
const SENDERS: usize = 4;

pub(crate) async fn run(scene: &Scene, decent: &[u8], hostile: &[u8]) -> Result<()> {
    let mut written = bind(scene, NEIGHBOUR, decent, json!({})).await?;
    for (other, _) in &OTHERS[1..] {
        written = match *other {
            "decent" => bind(scene, other, decent, json!({})).await?,
            mode => bind(scene, mode, hostile, json!({"mode": mode})).await?,
        };
    }
    scene.admin.wait_served(&written).await?;
    let mut rounds = OTHERS.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (other, rounds) in OTHERS.into_iter().zip(&mut rounds) {
            rounds.push(beside(scene, other).await?);
        }
    }
    println!(
        "\nAnswers of a source with a decent handler, {} events a second over TLS and from disk, beside another source of \
         the same gateway. Medians of {ROUNDS} alternating rounds of {LENGTH:?}.\n",
        SENDERS as u64 * RATE
    );
    println!("| the other's handler | events a second | p50 | p99 |\n|---|---:|---:|---:|");
    for ((other, rate), rounds) in OTHERS.iter().zip(rounds) {
        let of = |percent| {
            let each = rounds.iter().map(|round| percentile(round, percent)).collect::<Result<_>>()?;
            median(each, Duration::cmp).map(milliseconds)
        };
        println!("| {other} | {rate} | {} | {} |", of(50)?, of(99)?);
    }
    Ok(())
}

/// How long the neighbours' requests took in one round, in order of time.
async fn beside(scene: &Scene, (other, rate): (&'static str, u64)) -> Result<Vec<Duration>> {
    let end = Instant::now() + LENGTH;
    let mut others = JoinSet::new();
    if rate > 0 {
        others.spawn(send(scene, other, rate, end)?);
    }
    let mut neighbours = JoinSet::new();
    for _ in 0..SENDERS {
        neighbours.spawn(send(scene, NEIGHBOUR, RATE, end)?);
    }
    let mut times = Vec::new();
    for sender in neighbours.join_all().await {
        times.extend(sender?);
    }
    for sender in others.join_all().await {
        sender?;
    }
    times.sort();
    Ok(times)
}

/// A sender with a connection of its own. One event in ten is one that a hostile handler lets through.
fn send(
    scene: &Scene,
    source: &'static str,
    rate: u64,
    end: Instant,
) -> Result<impl Future<Output = Result<Vec<Duration>>> + use<>> {
    let sender = Sender::new(&scene.deployment.ready()?)?;
    let secret = scene.secrets.standard.clone();
    Ok(async move {
        let (mut times, mut due) = (Vec::new(), Instant::now());
        while due < end {
            sleep_until(due.into()).await;
            let event_type = if times.len() % 10 == 9 { "spare" } else { "order.paid" };
            sender.post("eu", &event(source, &secret, event_type)?).await?.accepted()?;
            times.push(due.elapsed());
            due += Duration::from_secs(1) / rate as u32;
        }
        Ok(times)
    })
}
