//! The fence of a stream with one writer, on a real nats-server: `FLOODGATE_NATS_SERVER`,
//! `.tools/nats-server`, or the one on `PATH`.
//!
//! It is the stream that refuses a replaced holder, and not that holder's clock. So the first holder's lease
//! is a long one, and its key is deleted behind its back. The first holder believes to the end that it holds
//! the lease, which is checked, and keeps sending. The tests also show what the fence must not affect: the
//! order of one holder's appends, and an append of its own whose ack was lost.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use bytes::Bytes;
use floodgate_event::{Lane, ShardCount, ShardId, subject};
use floodgate_stream::append::{Append, AppendError, BATCH_APPENDS, BATCH_BYTES, FencedAppender, Settled};
use floodgate_stream::connect::jetstream;
use floodgate_stream::lease::{Contender, Lease};
use floodgate_stream::{placement, provision};
use floodgate_testkit::Failure;
use floodgate_testkit::nats::{Server, Setup};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

type Result<T = ()> = floodgate_testkit::Result<T>;

/// The shard whose log is written.
const SHARD: ShardId = ShardId::FIRST;
/// So long that no lease is renewed or runs out during a test.
const LENGTH: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread")]
async fn an_append_after_anothers_fence_is_refused() -> Result {
    let Some(centre) = Centre::start("an_append_after_anothers_fence_is_refused").await? else {
        return Ok(());
    };
    let Duel { lease, mut first, mut second } = centre.duel().await?;

    assert!(lease.is_held(), "the first's own clock would let it write");
    assert_eq!(first.append(target(), text("late")).await, Err(AppendError::Superseded));
    assert!(lease.is_held(), "it is not the clock that refused");

    assert_eq!(second.append(target(), text("next")).await, Ok(4));
    assert_eq!(centre.log().await?, ["fence", "before", "fence", "next"]);
    Ok(())
}

/// What waits for an append that is under way goes as a batch, of which only the first names the fence.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_after_anothers_fence_is_refused() -> Result {
    let Some(centre) = Centre::start("a_batch_after_anothers_fence_is_refused").await? else { return Ok(()) };
    let Duel { lease, mut first, mut second } =
        centre.duel_after(&["before", "late", "later", "latest"]).await?;
    assert_eq!(first.in_flight(), 3);
    assert_eq!(first.settle().await, Err(AppendError::Superseded));
    assert_eq!(first.settle().await, Err(AppendError::Superseded));
    assert!(lease.is_held(), "it is not the clock that refused");

    // On the same connection, so the first's are judged before this one.
    let next = second.append(target(), text("next")).await;
    assert_eq!(centre.log().await?, ["fence", "before", "fence", "next"]);
    assert_eq!(next, Ok(4));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_of_one_holder_stand_in_order() -> Result {
    let Some(centre) = Centre::start("appends_of_one_holder_stand_in_order").await? else { return Ok(()) };
    let mut appender = centre.appender(&centre.lease("only").await?).await?;

    assert_eq!(appender.last_sequence(), 1, "its fence");
    assert_eq!(appender.append(target(), text("one")).await, Ok(2));
    assert_eq!(appender.append(target(), text("two")).await, Ok(3));
    for payload in ["three", "four", "five"] {
        appender.submit(append(payload), ()).await?;
    }
    assert_eq!((appender.in_flight(), appender.next_sequence()), (3, 7));
    for sequence in 4..=6 {
        assert_eq!(appender.settle().await.map(|settled| settled.sequence), Ok(sequence));
    }
    assert_eq!((appender.in_flight(), appender.last_sequence()), (0, 6));
    assert_eq!(centre.log().await?, ["fence", "one", "two", "three", "four", "five"]);
    Ok(())
}

/// If the message at an append's sequence has the append's own bytes, it is that append: its ack was lost,
/// and sending it again is refused. Here the test plays the earlier sending.
#[tokio::test(flavor = "multi_thread")]
async fn an_append_whose_ack_was_lost_is_known_again() -> Result {
    let Some(centre) = Centre::start("an_append_whose_ack_was_lost_is_known_again").await? else {
        return Ok(());
    };
    let mut appender = centre.appender(&centre.lease("only").await?).await?;

    centre.context.publish(target(), text("one")).await?.await?;
    assert_eq!(appender.append(target(), text("one")).await, Ok(2));

    centre.context.publish(target(), text("two")).await?.await?;
    appender.submit(append("two"), ()).await?;
    appender.submit(append("three"), ()).await?;
    for (sequence, payload) in [(3, "two"), (4, "three")] {
        let settled = Settled { sequence, payload: text(payload), carried: () };
        assert_eq!(appender.settle().await, Ok(settled));
    }

    assert_eq!(appender.append(target(), text("four")).await, Ok(5));
    assert_eq!(centre.log().await?, ["fence", "one", "two", "three", "four"]);
    Ok(())
}

/// An append names the fence, and so does the first one of a batch. This is what makes the stream refuse it
/// after another writer's fence.
#[tokio::test(flavor = "multi_thread")]
async fn appends_and_batches_name_the_fence() -> Result {
    let Some(centre) = Centre::start("appends_and_batches_name_the_fence").await? else { return Ok(()) };
    let mut appender = centre.appender(&centre.lease("only").await?).await?;
    for payload in ["alone", "first of a batch", "second"] {
        appender.submit(append(payload), ()).await?;
    }
    while appender.in_flight() > 0 {
        appender.settle().await?;
    }
    let stream = centre.context.get_stream(subject::log_stream(SHARD)).await?;
    let mut named = Vec::new();
    for sequence in 2..=4 {
        let headers = stream.get_raw_message(sequence).await?.headers;
        let of = |name| headers.get(name).map(|value| value.as_str().to_owned());
        named.push((
            of("Nats-Expected-Last-Subject-Sequence"),
            of("Nats-Expected-Last-Subject-Sequence-Subject"),
        ));
    }
    let fence = (Some("1".to_owned()), Some(subject::log_fence(SHARD)));
    assert_eq!(named, [fence.clone(), fence, (None, None)]);
    Ok(())
}

/// More appends than fit into a batch, by number and by size, and a wait that is given up again and again.
#[tokio::test(flavor = "multi_thread")]
async fn many_appends_stand_in_order_in_as_many_batches_as_they_need() -> Result {
    let name = "many_appends_stand_in_order_in_as_many_batches_as_they_need";
    let Some(centre) = Centre::start(name).await? else { return Ok(()) };
    let mut appender = centre.appender(&centre.lease("only").await?).await?;
    let small = (0..2 * BATCH_APPENDS).map(|_| 100);
    let sizes: Vec<_> = small.chain([BATCH_BYTES / 2; 3]).chain([BATCH_BYTES + 1, 100, 100]).collect();
    for (number, size) in sizes.iter().enumerate() {
        let payload = format!("{}{number:04}", "0".repeat(size - 4)).into();
        appender.submit(Append { payload, ..append("") }, number).await?;
    }
    let mut settled = 1;
    while appender.in_flight() > 0 {
        if let Ok(given) = timeout(Duration::from_millis(2), appender.settle()).await {
            settled += 1;
            let given = given?;
            assert_eq!(given.sequence, settled);
            assert_eq!((given.carried, given.payload.len()), (settled as usize - 2, sizes[given.carried]));
        }
    }
    let log = centre.log().await?;
    assert_eq!(log.len(), 1 + sizes.len(), "each once");
    for (number, text) in log.iter().skip(1).enumerate() {
        assert_eq!((text.len(), text.parse()), (sizes[number], Ok(number)));
    }
    Ok(())
}

/// Two writers that both believe to be the only one. The log has the first's fence, `before`, and the
/// second's fence.
struct Duel {
    /// The lease of the first writer.
    lease: Lease,
    first: FencedAppender,
    second: FencedAppender,
}

/// The NATS of the centre.
struct Centre {
    context: Context,
    _server: Server,
}

impl Centre {
    /// Starts a server with the streams and buckets that the relay needs. If there is no program, returns
    /// `None` and prints a line that says so.
    async fn start(test: &str) -> Result<Option<Self>> {
        let server = match Setup::default().start() {
            Err(failure) if failure.is_missing() => {
                println!("SKIPPED: {test}: no nats-server");
                return Ok(None);
            }
            started => started?,
        };
        let context = jetstream(&server.context().await?.client());
        provision::centre(&context, ShardCount::ONE, placement::Centre::default()).await?;
        Ok(Some(Self { context, _server: server }))
    }

    /// The first writer appends and is then replaced, without being told, by a second one that appends its
    /// fence.
    async fn duel(&self) -> Result<Duel> {
        self.duel_after(&["before"]).await
    }

    /// The same with what the first writer submitted: only the first append is on disk, and the others wait
    /// to be sent.
    async fn duel_after(&self, submitted: &[&'static str]) -> Result<Duel> {
        let lease = self.lease("first").await?;
        let mut first = self.appender(&lease).await?;
        for payload in submitted {
            first.submit(append(payload), ()).await?;
        }
        assert_eq!(first.settle().await?.sequence, 2);

        let newer = self.lease("second").await?;
        assert!(newer.epoch() > lease.epoch(), "{} after {}", newer.epoch(), lease.epoch());
        let second = self.appender(&newer).await?;
        assert_eq!(second.last_sequence(), 3, "its fence stands behind what the first wrote");
        Ok(Duel { lease, first, second })
    }

    /// Takes the lease at once: deletes the key of the present holder, which learns of that at its next
    /// renewal.
    async fn lease(&self, holder: &str) -> Result<Lease> {
        let store = self.context.get_key_value(subject::LEASE_BUCKET).await?;
        store.delete(subject::lease_key(SHARD)).await?;
        let contender = Contender::new(store, SHARD, holder.to_owned(), LENGTH);
        contender.acquire(&CancellationToken::new()).await.ok_or_else(|| Failure::new("no lease"))
    }

    async fn appender<T>(&self, lease: &Lease) -> Result<FencedAppender<T>> {
        let stream = subject::log_stream(SHARD);
        let fence = Append { subject: subject::log_fence(SHARD), ..append("fence") };
        Ok(FencedAppender::open(self.context.clone(), stream, lease.clone(), fence).await?)
    }

    /// The payloads in the log.
    async fn log(&self) -> Result<Vec<String>> {
        let stream = self.context.get_stream(subject::log_stream(SHARD)).await?;
        let mut payloads = Vec::new();
        for sequence in 1..=stream.cached_info().state.last_sequence {
            let message = stream.get_raw_message(sequence).await?;
            payloads.push(String::from_utf8(message.payload.to_vec())?);
        }
        Ok(payloads)
    }
}

fn append(payload: &'static str) -> Append {
    Append { subject: target(), headers: HeaderMap::new(), payload: text(payload) }
}

fn target() -> String {
    subject::log(SHARD, Lane::Standard)
}

fn text(payload: &'static str) -> Bytes {
    Bytes::from_static(payload.as_bytes())
}
