//! Streams that are full, silent, or hold what is no block.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy};
use floodgate_testkit::load::{Load, Plan};
use floodgate_testkit::sender::Answer;
use floodgate_testkit::{Result, Scene, metrics, outside, wait};
use nix::sys::signal::Signal;

const LIMIT: Duration = Duration::from_secs(30);
/// Counts regional messages that could not be decoded.
const SET_ASIDE_METRIC: &str = "floodgate_blocks_set_aside_total";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_block_is_set_aside_and_the_rest_goes_on() -> Result<()> {
    Scene::play(async |scene| {
        let relay = scene.deployment.process("relay")?;
        let nats = scene.deployment.region_nats("eu").await?;
        let garbage: [&[u8]; 3] = [b"", b"garbage", &[0xff; 4096]];
        for (number, garbage) in garbage.into_iter().enumerate() {
            scene.sender.post("eu", &scene.standard(&format!("msg_{number}"), "{}")?).await?.accepted()?;
            nats.publish("in.standard.0", garbage.into()).await?.await?;
        }
        scene.sender.post("eu", &scene.standard("msg_after", "{}")?).await?.accepted()?;

        let books = scene.balanced_books().await?;
        assert_eq!(books.events.stored, 4, "events before, between and after all arrive");
        let centre = scene.deployment.centre_nats().await?;
        wait::until("the garbage in the set-aside stream", LIMIT, async || {
            let messages = centre.get_stream("SET_ASIDE").await?.cached_info().state.messages;
            Ok((messages == garbage.len() as u64).then_some(()))
        })
        .await?;
        let kept = centre.get_stream("SET_ASIDE").await?.get_raw_message(2).await?;
        assert_eq!(kept.payload, "garbage", "the bytes are kept as they were");
        let alarm = metrics::sum(&scene.deployment.ready()?.centre.metrics, SET_ASIDE_METRIC).await?;
        assert_eq!(alarm, garbage.len() as f64);
        assert_eq!(scene.deployment.process("relay")?, relay, "the relay never fell");
        outside::read_log(&scene.deployment).await?.check()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_stream_gives_503_until_there_is_room() -> Result<()> {
    Scene::play(async |scene| {
        scene.sender.post("eu", &scene.standard("msg_first", "{}")?).await?.accepted()?;
        let nats = scene.deployment.region_nats("eu").await?;
        let config = nats.get_stream("IN_STANDARD").await?.cached_info().config.clone();
        let full = Config { max_bytes: 1, ..config.clone() };
        nats.update_stream(&full).await?;

        refused_for_now(&scene.sender.post("eu", &scene.standard("msg_second", "{}")?).await?);
        let elsewhere = scene.sender.post("us", &scene.standard("msg_third", "{}")?).await?;
        elsewhere.accepted()?;

        nats.update_stream(&config).await?;
        let plan = Plan { numbers: 0..1, ..scene.load(&["eu"]) };
        Load::start(&scene.sender, plan).complete().await?;
        let books = scene.balanced_books().await?;
        assert_eq!(books.events.stored, 3, "what was refused is not stored");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_2xx_from_a_stream_that_may_lose_events() -> Result<()> {
    Scene::play(async |scene| {
        let nats = scene.deployment.region_nats("eu").await?;
        let config = nats.get_stream("IN_STANDARD").await?.cached_info().config.clone();
        let lossy = Config { discard: DiscardPolicy::Old, ..config.clone() };
        nats.update_stream(&lossy).await?;
        let refused = wait::until("the region to refuse", LIMIT, async || {
            let answer = scene.sender.post("eu", &scene.standard("msg_1", "{}")?).await?;
            Ok((answer.status != 200).then_some(answer))
        });
        refused_for_now(&refused.await?);

        nats.update_stream(&config).await?;
        wait::until("the region to accept again", LIMIT, async || {
            let answer = scene.sender.post("eu", &scene.standard("msg_1", "{}")?).await?;
            Ok(answer.accepted().is_ok().then_some(()))
        })
        .await?;
        assert_eq!(scene.balanced_books().await?.events.stored, 1);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_ack_in_time_gives_503() -> Result<()> {
    Scene::play(async |scene| {
        scene.deployment.signal("nats-eu", Signal::SIGSTOP)?;
        let answer = scene.sender.post("eu", &scene.standard("msg_1", "{}")?).await;
        scene.deployment.signal("nats-eu", Signal::SIGCONT)?;
        refused_for_now(&answer?);

        // The provider tries again. Whether the first try reached the stream after all, nobody can know; the
        // event is stored once in any case.
        let id = wait::until("the region to accept again", LIMIT, async || {
            let answer = scene.sender.post("eu", &scene.standard("msg_1", "{}")?).await?;
            Ok(Some(answer.accepted()?.to_owned()))
        })
        .await?;
        let books = scene.balanced_books().await?;
        assert_eq!(books.events.stored, 1);
        assert_eq!(scene.consumer.counts().get(&id), Some(&1));
        Ok(())
    })
    .await
}

fn refused_for_now(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    let seconds = answer.retry_after.as_deref().and_then(|text| text.parse::<u32>().ok());
    assert!(seconds.is_some_and(|seconds| seconds > 0), "with a Retry-After: {answer:?}");
}
