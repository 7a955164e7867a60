//! `bench backlog`: how fast a centre copies and delivers what a region gathered while it was away, in small
//! blocks, beside bare publishes of as many messages to the same nats-server.

use std::time::{Duration, Instant};

use async_nats::jetstream::stream::State;
use async_nats::jetstream::{Context, stream};
use floodgate_event::{Lane, ShardId, subject};
use floodgate_testkit::load::{Load, Plan};
use floodgate_testkit::{Failure, Result, Scene};
use futures::StreamExt as _;
use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::times::median;

/// What chooses this part.
pub(crate) const ARGUMENT: &str = "backlog";

/// Events of a round, and how many requests are under way while they gather: so many are in a block at most.
const EVENTS: u64 = 6_000;
const WORKERS: usize = 2;
const ROUNDS: u64 = 3;
/// Bare publishes under way at once.
const IN_FLIGHT: usize = 16;
/// Between two looks, and the longest that a round may take.
const PAUSE: Duration = Duration::from_millis(20);
const LIMIT: Duration = Duration::from_secs(120);
/// What is measured goes from a tenth of the backlog to nine tenths:
/// without taking over, and without the last ones.
const PART: u64 = 10;

struct Round {
    events_per_block: f64,
    bare: f64,
    copied: f64,
    delivered: f64,
}

pub(crate) async fn run() -> Result<()> {
    Scene::play(async |scene| {
        let centre = scene.deployment.centre_nats().await?;
        let mut rounds = Vec::new();
        for number in 0..ROUNDS {
            rounds.push(round(scene, &centre, number).await?);
        }
        print(&median(rounds, |a, b| a.copied.total_cmp(&b.copied))?);
        Ok(())
    })
    .await
}

fn print(Round { events_per_block, bare, copied, delivered }: &Round) {
    println!(
        "\n{EVENTS} events gathered by a region without its centre, {events_per_block:.2} to a block. Median of {ROUNDS} rounds.\n"
    );
    println!(
        "| bare publishes/s, {IN_FLIGHT} under way | blocks copied/s | of that | events delivered/s |\n|---:|---:|---:|---:|"
    );
    println!("| {bare:.0} | {copied:.0} | {:.2} | {delivered:.0} |", copied / bare);
}

async fn round(scene: &Scene, centre: &Context, number: u64) -> Result<Round> {
    scene.deployment.signal("relay", Signal::SIGSTOP)?;
    let log_stream = subject::log_stream(ShardId::FIRST);
    let (log, arrived) = (last(centre, &log_stream).await?, scene.consumer.count() as u64);
    let numbers = number * EVENTS..(number + 1) * EVENTS;
    let region = scene.deployment.region_nats("eu").await?;
    let before = regional(&region).await?;
    Load::start(&scene.sender, Plan { numbers, workers: WORKERS, ..scene.load(&["eu"]) }).complete().await?;
    let after = regional(&region).await?;
    let (blocks, bytes) = (after.messages - before.messages, after.bytes - before.bytes);
    let bare = bare(centre, usize::try_from(bytes / blocks)?).await?;
    scene.deployment.signal("relay", Signal::SIGCONT)?;
    let (copied, delivered) = tokio::try_join!(
        rate("copied", blocks, async || Ok(last(centre, &log_stream).await? - log)),
        rate("delivered", EVENTS, async || Ok(scene.consumer.count() as u64 - arrived)),
    )?;
    scene.balanced_books().await?;
    Ok(Round { events_per_block: EVENTS as f64 / blocks as f64, bare, copied, delivered })
}

/// How many a second something came on by, while it went through the middle of `all`.
async fn rate(what: &str, all: u64, done: impl AsyncFn() -> Result<u64>) -> Result<f64> {
    let (from, to) = (all / PART, all - all / PART);
    let asked = Instant::now();
    let mut began = None;
    while asked.elapsed() < LIMIT {
        let (now, done) = (Instant::now(), done().await?);
        match began {
            None if done >= from => began = Some((now, done)),
            Some((then, first)) if done >= to => {
                return Ok((done - first) as f64 / (now - then).as_secs_f64());
            }
            _ => {}
        }
        sleep(PAUSE).await;
    }
    Err(Failure::new(format!("not {what} in {LIMIT:?}")))
}

/// Publishes of so many bytes to a stream of their own on the centre's nats-server, each synced.
async fn bare(centre: &Context, bytes: usize) -> Result<f64> {
    const NAME: &str = "BENCH";
    let config = stream::Config { name: NAME.into(), subjects: vec!["bench".into()], ..Default::default() };
    centre.create_stream(config).await?;
    let began = Instant::now();
    let payload = bytes::Bytes::from(vec![b'x'; bytes]);
    let publishes = futures::stream::iter(0..EVENTS).map(|_| async {
        centre.publish("bench", payload.clone()).await?.await?;
        Result::Ok(())
    });
    publishes.buffer_unordered(IN_FLIGHT).collect::<Vec<_>>().await.into_iter().collect::<Result<()>>()?;
    let rate = EVENTS as f64 / began.elapsed().as_secs_f64();
    centre.delete_stream(NAME).await?;
    Ok(rate)
}

async fn regional(region: &Context) -> Result<State> {
    state(region, subject::regional_stream(Lane::Standard)).await
}

async fn last(context: &Context, stream: &str) -> Result<u64> {
    Ok(state(context, stream).await?.last_sequence)
}

async fn state(context: &Context, stream: &str) -> Result<State> {
    Ok(context.get_stream(stream).await?.cached_info().state.clone())
}
