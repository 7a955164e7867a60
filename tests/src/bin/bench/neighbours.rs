//! What a handler's neighbours notice of it when it misbehaves: answers of a source with a decent handler, while another
//! source of the same gateway gets events too. All at fixed rates; a time counts from when its request was due.

use std::time::{Duration, Instant};

use floodgate_tests::{Result, Scene, Sender, sign};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::handlers::named;

/// What the other source has, and how many events a second it gets. `spin` takes its whole 50 ms each time: at 10 a second
/// half a processor.
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
    bind(scene, NEIGHBOUR, decent).await?;
    for (other, _) in &OTHERS[1..] {
        bind(scene, other, if *other == "decent" { decent } else { hostile }).await?;
    }
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
        let [p50, p99] =
            [0.5, 0.99].map(|share| median(rounds.iter().map(|round| share_of(round, share)).collect()));
        println!(
            "| {other} | {rate} | {:.1} ms | {:.1} ms |",
            p50.as_secs_f64() * 1e3,
            p99.as_secs_f64() * 1e3
        );
    }
    Ok(())
}

/// A source with a handler of the same name, which is a version of its own: it shares no breaker.
async fn bind(scene: &Scene, name: &str, component: &[u8]) -> Result<()> {
    let params = match name {
        "spin" | "exhaust" | "panic" => json!({"mode": name}),
        _ => json!({}),
    };
    scene.admin.upload(name, named(component, name)).await?;
    let document = json!({
        "verify": {"scheme": "standard", "secrets": [&scene.secrets.standard]},
        "handlers": [{"name": name, "params": params}],
    });
    scene.admin.put(&format!("/v1/sources/{name}"), &document).await?;
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
            let id = format!("msg_{}", sign::new_text_secret());
            let body = if times.len() % 10 == 9 { r#"{"type":"spare"}"# } else { r#"{"type":"order.paid"}"# };
            sender.post("eu", &sign::standard(source, &secret, &id, body)?).await?.accepted()?;
            times.push(due.elapsed());
            due += Duration::from_secs(1) / rate as u32;
        }
        Ok(times)
    })
}

fn share_of(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted.get((share * last as f64) as usize).copied().unwrap_or_default()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
