//! What a handler's neighbours notice of it when it misbehaves: answers of a source with a decent handler, while another
//! source of the same gateway gets events as fast as it takes them.

use std::time::{Duration, Instant};

use floodgate_tests::{Result, Scene, guests, sign};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How the guest `hostile` misbehaves; `decent` does not, and is what the others are to be held against.
const MODES: [&str; 4] = ["decent", "spin", "exhaust", "panic"];
/// Rounds of each; they alternate, so that whatever else the machine does hits all alike.
const ROUNDS: usize = 7;
/// Of each round.
const LENGTH: Duration = Duration::from_secs(2);
/// Senders to the decent handler, and their pause between two events.
const NEIGHBOURS: usize = 4;
const PAUSE: Duration = Duration::from_millis(5);
/// Senders to the other one.
const OTHERS: usize = 4;

/// The source of the decent handler.
const NEIGHBOUR: &str = "neighbour";

pub(crate) async fn run(scene: &Scene, decent: &[u8]) -> Result<()> {
    scene.admin.upload("decent", decent.to_vec()).await?;
    scene.admin.upload("hostile", guests::build("hostile").await?).await?;
    bind(scene, NEIGHBOUR).await?;
    for mode in MODES {
        bind(scene, mode).await?;
    }
    let mut times = MODES.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (mode, times) in MODES.iter().zip(&mut times) {
            times.push(beside(scene, mode).await?);
        }
    }
    println!(
        "\nA decent handler's answers, over TLS and from disk, while {OTHERS} senders flood another source of the same \
         gateway. Medians of {ROUNDS} alternating rounds.\n"
    );
    println!("| the other handler | p50 | p99 |\n|---|---:|---:|");
    for (mode, times) in MODES.iter().zip(times) {
        let [p50, p99] =
            [0.5, 0.99].map(|share| median(times.iter().map(|round| share_of(round, share)).collect()));
        println!("| {mode} | {:.1} ms | {:.1} ms |", p50.as_secs_f64() * 1e3, p99.as_secs_f64() * 1e3);
    }
    Ok(())
}

async fn bind(scene: &Scene, source: &str) -> Result<()> {
    let handler = match source {
        "spin" | "exhaust" | "panic" => json!({"name": "hostile", "params": {"mode": source}}),
        _ => json!({"name": "decent", "params": {}}),
    };
    let document = json!({
        "verify": {"scheme": "standard", "secrets": [&scene.secrets.standard]},
        "handlers": [handler],
    });
    scene.admin.put(&format!("/v1/sources/{source}"), &document).await?;
    Ok(())
}

/// How long the neighbours' requests took in one round, in order of time.
async fn beside(scene: &Scene, other: &'static str) -> Result<Vec<Duration>> {
    let end = Instant::now() + LENGTH;
    let mut others = JoinSet::new();
    for _ in 0..OTHERS {
        others.spawn(send(scene.sender.clone(), other, scene.secrets.standard.clone(), Duration::ZERO, end));
    }
    let mut neighbours = JoinSet::new();
    for _ in 0..NEIGHBOURS {
        neighbours.spawn(send(scene.sender.clone(), NEIGHBOUR, scene.secrets.standard.clone(), PAUSE, end));
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

async fn send(
    sender: floodgate_tests::Sender,
    source: &str,
    secret: String,
    pause: Duration,
    end: Instant,
) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    while Instant::now() < end {
        let id = format!("msg_{}", sign::new_text_secret());
        let signed = sign::standard(source, &secret, &id, r#"{"type":"order.paid"}"#)?;
        let began = Instant::now();
        sender.post("eu", &signed).await?.accepted()?;
        times.push(began.elapsed());
        sleep(pause).await;
    }
    Ok(times)
}

fn share_of(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted.get((share * last as f64) as usize).copied().unwrap_or_default()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
