//! The relay's streams on clusters of three servers: they are created, changed, written and read while their
//! leaders die.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::Config;
use floodgate_event::{Lane, ShardCount, ShardId, subject};
use floodgate_stream::append::{Append, AppendError, FencedAppender};
use floodgate_stream::connect::jetstream;
use floodgate_stream::lease::{Contender, Lease};
use floodgate_stream::placement::{Centre, MaxBytes, Placement, Replicas};
use floodgate_stream::provision::{self, ProvisionError};
use floodgate_stream::reader::StreamReader;
use floodgate_testkit::nats::{self, Cluster, Setup};
use floodgate_testkit::{Failure, Result, wait};
use tokio_util::sync::CancellationToken;

/// Longer than an election of a leader takes.
const LEASE: Duration = Duration::from_secs(60);
/// How long a message without an answer is published again. Each try takes 5 s.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// How many appends are under way at once.
const WINDOW: usize = 8;
/// How many times so many are appended: before, between and after the deaths of the leaders.
const ROUNDS: usize = 30;
const APPENDS: usize = WINDOW * ROUNDS;

fn three() -> Result<Centre> {
    Ok(toml::from_str("replicas = 3")?)
}

/// The settings of a region's streams in the relay's configuration.
#[derive(serde::Deserialize)]
struct Choices {
    replicas: Option<Replicas>,
    #[serde(default)]
    max_bytes: MaxBytes,
}

fn region(choices: &str) -> Result<Placement> {
    let Choices { replicas, max_bytes } = toml::from_str(choices)?;
    Ok(Placement { replicas, max_bytes, ..Placement::default() })
}

/// A context with the settings of the relay's own.
async fn relay_context(cluster: &Cluster) -> Result<Context> {
    Ok(jetstream(&cluster.context(3).await?.client()))
}

async fn config_of(context: &Context, stream: &str) -> Result<Config> {
    Ok(context.get_stream(stream).await?.cached_info().config.clone())
}

/// Takes the lease at once: deletes the key of the present holder, which learns of that at its next renewal.
async fn lease(context: &Context) -> Result<Lease> {
    let store = context.get_key_value(subject::LEASE_BUCKET).await?;
    store.delete(subject::lease_key(ShardId::FIRST)).await?;
    let contender = Contender::new(store, ShardId::FIRST, "relay-1".to_owned(), LEASE);
    contender.acquire(&CancellationToken::new()).await.ok_or_else(|| Failure::new("no lease"))
}

fn text(number: usize) -> bytes::Bytes {
    format!("append {number}").into()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_written_and_read_while_its_leaders_die() -> Result<()> {
    let mut servers = Setup::default().start_cluster(3)?;
    let context = relay_context(&servers).await?;
    provision::centre(&context, ShardCount::ONE, three()?).await?;
    for stream in [
        "EVENTS_0",
        "JOURNAL_0",
        "SET_ASIDE",
        "KV_floodgate_control",
        "KV_floodgate_lease",
        "OBJ_floodgate_handlers",
    ] {
        assert_eq!(config_of(&context, stream).await?.num_replicas, 3, "{stream}");
    }

    let log = subject::log_stream(ShardId::FIRST);
    let reader =
        StreamReader::new(context.clone(), log.clone(), subject::log(ShardId::FIRST, Lane::Standard), 1);
    let reading = tokio::spawn(read(reader));
    let mut appender = appender(&context).await?;
    for round in 0..ROUNDS {
        if round % (ROUNDS / 3) == ROUNDS / 6 {
            let leader = nats::leader(&context, &log).await.ok_or_else(|| Failure::new("no leader"))?;
            servers.server(&leader)?.kill()?;
            append_some(&mut appender, round).await?;
            servers.server(&leader)?.start()?;
            servers.context(3).await?;
        } else {
            append_some(&mut appender, round).await?;
        }
    }
    let expected: Vec<_> = (0..APPENDS).map(text).collect();
    assert_eq!(tokio::time::timeout(LEASE, reading).await??, expected, "each once and in order");
    Ok(())
}

async fn appender(context: &Context) -> Result<FencedAppender> {
    let fence = Append {
        subject: subject::log_fence(ShardId::FIRST),
        headers: HeaderMap::new(),
        payload: "fence".into(),
    };
    let lease = lease(context).await?;
    Ok(FencedAppender::open(context.clone(), subject::log_stream(ShardId::FIRST), lease, fence).await?)
}

async fn submit_some(appender: &mut FencedAppender, round: usize) -> Result<()> {
    for number in round * WINDOW..(round + 1) * WINDOW {
        let subject = subject::log(ShardId::FIRST, Lane::Standard);
        appender.submit(Append { subject, headers: HeaderMap::new(), payload: text(number) }, ()).await?;
    }
    Ok(())
}

async fn append_some(appender: &mut FencedAppender, round: usize) -> Result<()> {
    submit_some(appender, round).await?;
    while appender.in_flight() > 0 {
        appender.settle().await?;
    }
    Ok(())
}

async fn read(mut reader: StreamReader) -> Vec<bytes::Bytes> {
    let mut payloads = Vec::new();
    while payloads.len() < APPENDS {
        payloads.push(reader.next().await.payload);
    }
    payloads
}

/// When the writer is replaced, without being told, it has a batch to send.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_a_writer_that_was_replaced_is_refused() -> Result<()> {
    let servers = Setup::default().start_cluster(3)?;
    let context = relay_context(&servers).await?;
    provision::centre(&context, ShardCount::ONE, three()?).await?;
    let mut first = appender(&context).await?;
    submit_some(&mut first, 0).await?;
    assert_eq!(first.settle().await?.sequence, 2, "the first goes alone, the others wait");
    let mut second = appender(&context).await?;
    assert_eq!(second.last_sequence(), 3);
    assert_eq!(first.settle().await, Err(AppendError::Superseded));
    append_some(&mut second, 1).await?;
    assert_eq!(second.last_sequence(), 3 + WINDOW as u64, "nothing of the first's batch is there");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn existing_streams_are_brought_to_what_is_configured() -> Result<()> {
    let servers = Setup::default().start_cluster(3)?;
    let context = relay_context(&servers).await?;
    provision::region(&context, region("")?).await?;
    let bulk = |config: Config| (config.num_replicas, config.max_bytes);
    assert_eq!(bulk(config_of(&context, "IN_BULK").await?), (1, -1));

    provision::region(&context, region("replicas = 3\nmax_bytes = { bulk = 20000000 }")?).await?;
    assert_eq!(bulk(config_of(&context, "IN_BULK").await?), (3, 20_000_000));
    assert_eq!(bulk(config_of(&context, "IN_CRITICAL").await?), (3, -1));
    for bucket in ["KV_floodgate_gateways", "KV_floodgate_snapshot", "OBJ_floodgate_handlers"] {
        assert_eq!(config_of(&context, bucket).await?.num_replicas, 3, "{bucket}");
    }

    // A setting that is left out is not changed. A limit below the present size deletes nothing, and refuses
    // new messages.
    for number in 0..18 {
        publish(&context, number).await??;
    }
    provision::region(&context, region("max_bytes = { bulk = 16777216 }")?).await?;
    let mut stream = context.get_stream("IN_BULK").await?;
    assert_eq!(bulk(stream.cached_info().config.clone()), (3, 16_777_216));
    assert_eq!(stream.info().await?.state.messages, 18);
    let refused = publish(&context, 18).await?;
    assert!(refused.as_ref().is_err_and(|error| error.to_string().contains("maximum bytes")), "{refused:?}");
    Ok(())
}

/// Publishes until the message is stored or refused: servers that only just got a stream may not answer.
async fn publish(context: &Context, number: usize) -> Result<Result<(), PublishError>> {
    wait::until("an answer to a message", ANSWER_LIMIT, async || {
        let answered = publish_once(context, number).await;
        let is_late = answered.as_ref().is_err_and(|error| error.kind() == PublishErrorKind::TimedOut);
        Ok((!is_late).then_some(answered))
    })
    .await
}

async fn publish_once(context: &Context, number: usize) -> Result<(), PublishError> {
    let payload = bytes::Bytes::from(vec![b'x'; 1_000_000]);
    let message = PublishMessage::build().payload(payload).message_id(number.to_string());
    context.send_publish("in.bulk.0", message).await?.await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_the_stream() -> Result<()> {
    let single = Setup::default().start()?;
    let context = single.context().await?;
    let refused = provision::region(&context, region("replicas = 3")?).await;
    let Err(error @ ProvisionError::Stream { .. }) = refused else { panic!("{refused:?}") };
    assert!(error.to_string().starts_with("stream IN_CRITICAL: "), "{error}");
    Ok(())
}
