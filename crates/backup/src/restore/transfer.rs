//! Sends one stream's snapshot to the server. `$JS.API.STREAM.RESTORE.<stream>` answers with a subject for
//! the chunks. Each chunk is answered, and the last, an empty one, by the state of the restored stream. In a
//! cluster any server may be the one that unpacks them.

use std::path::Path;
use std::time::Duration;

use async_nats::jetstream::response::Response;
use async_nats::jetstream::{Context, ErrorCode};
use async_nats::{Message, StatusCode, Subscriber};
use bytes::Bytes;
use futures::StreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, sleep, timeout};

use super::super::connection;
use super::super::folder::disk;
use super::super::manifest::Stream;
use super::super::{Error, Progress};

/// Bytes of a chunk, below every server's `max_payload`.
const CHUNK_BYTES: usize = 256 * 1024;
/// How many chunks are sent ahead of their answers, so that not each waits for a distant server.
const AHEAD: usize = 16;
/// How long the server may take to answer a chunk.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// How long the server may take to unpack everything and make the stream.
const UNPACK_LIMIT: Duration = Duration::from_secs(1_800);
/// How long a cluster may take to choose a server or a leader.
const AGREE_LIMIT: Duration = Duration::from_secs(60);
/// The wait between two attempts meanwhile.
const AGREE_PAUSE: Duration = Duration::from_millis(200);
/// JetStream's code for a request that it cannot serve now.
const UNAVAILABLE: usize = 503;

#[derive(Deserialize)]
struct Begun {
    deliver_subject: String,
}

/// The answer to the last chunk.
#[derive(Deserialize)]
struct Restored {
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct State {
    messages: u64,
    first_seq: u64,
    last_seq: u64,
}

/// Restores a stream with the given configuration, and compares the result with what was saved.
pub(super) async fn send(
    context: &Context,
    stream: &Stream,
    config: &Value,
    folder: &Path,
    progress: &mut impl Progress,
) -> Result<(), Error> {
    progress.begins(&stream.name, stream.bytes);
    let begun = begin(context, stream, config).await?;
    let inbox = context.client().new_inbox();
    let answers = context.client().subscribe(inbox.clone()).await;
    let answers = answers.map_err(|_| broken(stream, GONE))?;
    let mut sending =
        Sending { context, stream, target: begun.deliver_subject, inbox, answers, unanswered: 0 };
    sending.chunks(&folder.join(&stream.file), progress).await?;
    let restored = sending.finish().await?;
    compare(stream, &restored.state)?;
    wait_for_leader(context, stream).await
}

/// Asks until the cluster has a server for the stream. Just after its start it may have none.
async fn begin(context: &Context, stream: &Stream, config: &Value) -> Result<Begun, Error> {
    let ask = json!({"config": config, "state": stream.state});
    let end = Instant::now() + AGREE_LIMIT;
    loop {
        let answer: Result<Response<Begun>, _> =
            context.request(format!("STREAM.RESTORE.{}", stream.name), &ask).await;
        match answer {
            Ok(Response::Ok(begun)) => return Ok(begun),
            Ok(Response::Err { error }) if is_temporary(&error) && Instant::now() < end => {}
            Ok(Response::Err { error }) => return Err(refused(stream, error.to_string())),
            Err(error) => {
                return Err(Error::Stream { stream: stream.name.clone(), source: error.into() });
            }
        }
        sleep(AGREE_PAUSE).await;
    }
}

/// Returns true if a cluster refused because its servers do not know each other yet.
fn is_temporary(error: &async_nats::jetstream::Error) -> bool {
    error.code() == UNAVAILABLE || error.error_code() == ErrorCode::CLUSTER_NO_PEERS
}

/// Waits until a server leads the stream and has all of it. A cluster chooses the leader after the last
/// answer.
async fn wait_for_leader(context: &Context, stream: &Stream) -> Result<(), Error> {
    let end = Instant::now() + AGREE_LIMIT;
    let mut missing = "no server leads it";
    while Instant::now() < end {
        // A lookup that fails is tried again.
        if let Ok(Some(info)) = connection::find(context, &stream.name).await
            && info.cluster.as_ref().is_none_or(|cluster| cluster.leader.is_some())
        {
            if info.state.last_sequence >= stream.last_sequence {
                return Ok(());
            }
            missing = "the server that leads it does not have all of it";
        }
        sleep(AGREE_PAUSE).await;
    }
    Err(broken(stream, missing))
}

struct Sending<'a> {
    context: &'a Context,
    stream: &'a Stream,
    target: String,
    inbox: String,
    answers: Subscriber,
    unanswered: usize,
}

impl Sending<'_> {
    async fn chunks(&mut self, path: &Path, progress: &mut impl Progress) -> Result<(), Error> {
        let failed = |error| disk(path, error);
        let mut file = File::open(path).await.map_err(failed)?.take(self.stream.bytes);
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut is_first = true;
        loop {
            let read = file.read(&mut buffer).await.map_err(failed)?;
            if read == 0 {
                break;
            }
            let chunk = Bytes::copy_from_slice(&buffer[..read]);
            if is_first {
                self.first(chunk).await?;
            } else {
                self.put(chunk).await?;
            }
            is_first = false;
            progress.moved(read as u64);
            if self.unanswered >= AHEAD {
                self.answer().await?;
            }
        }
        while self.unanswered > 0 {
            self.answer().await?;
        }
        Ok(())
    }

    async fn put(&mut self, chunk: Bytes) -> Result<(), Error> {
        let (target, inbox) = (self.target.clone(), self.inbox.clone());
        let sent = self.context.client().publish_with_reply(target, inbox, chunk).await;
        self.unanswered += 1;
        sent.map_err(|_| broken(self.stream, GONE))
    }

    /// Sends the first chunk until a server receives it: the server that this client is connected to may
    /// learn about the other's subscription only after its answer.
    async fn first(&mut self, chunk: Bytes) -> Result<(), Error> {
        let end = Instant::now() + AGREE_LIMIT;
        loop {
            self.put(chunk.clone()).await?;
            let answer = self.next(ANSWER_LIMIT).await?;
            self.unanswered -= 1;
            if was_received(&answer) || Instant::now() >= end {
                return self.check(&answer);
            }
            sleep(AGREE_PAUSE).await;
        }
    }

    async fn answer(&mut self) -> Result<(), Error> {
        let answer = self.next(ANSWER_LIMIT).await?;
        self.unanswered -= 1;
        self.check(&answer)
    }

    /// Checks the answer to a chunk. One that is not empty is a refusal.
    fn check(&self, answer: &Message) -> Result<(), Error> {
        if was_received(answer) && answer.payload.is_empty() { Ok(()) } else { Err(self.refusal(answer)) }
    }

    /// The error that a refusing answer means.
    fn refusal(&self, answer: &Message) -> Error {
        if !was_received(answer) {
            return broken(self.stream, NOBODY);
        }
        match serde_json::from_slice::<Response<Restored>>(&answer.payload) {
            Ok(Response::Err { error }) => refused(self.stream, error.to_string()),
            _ => refused(self.stream, String::from_utf8_lossy(&answer.payload).into_owned()),
        }
    }

    async fn finish(&mut self) -> Result<Restored, Error> {
        self.put(Bytes::new()).await?;
        let answer = self.next(UNPACK_LIMIT).await?;
        match serde_json::from_slice::<Response<Restored>>(&answer.payload) {
            Ok(Response::Ok(restored)) => Ok(restored),
            _ => Err(self.refusal(&answer)),
        }
    }

    async fn next(&mut self, limit: Duration) -> Result<Message, Error> {
        let answer = timeout(limit, self.answers.next()).await;
        let answer = answer.map_err(|_| broken(self.stream, "the server did not answer in time"))?;
        answer.ok_or_else(|| broken(self.stream, GONE))
    }
}

/// Returns true if somebody received the chunk: otherwise nats-server itself answers.
fn was_received(answer: &Message) -> bool {
    answer.status != Some(StatusCode::NO_RESPONDERS)
}

const GONE: &str = "the connection is gone";
const NOBODY: &str = "no server takes it";

fn broken(stream: &Stream, reason: &'static str) -> Error {
    Error::BrokenOff { stream: stream.name.clone(), reason }
}

fn refused(stream: &Stream, reason: String) -> Error {
    Error::Refused { stream: stream.name.clone(), reason }
}

fn compare(stream: &Stream, found: &State) -> Result<(), Error> {
    let expected =
        State { messages: stream.messages, first_seq: stream.first_sequence, last_seq: stream.last_sequence };
    // The first sequence of an empty stream depends on the server.
    let same = State { first_seq: found.first_seq, ..expected.clone() };
    if *found == expected || (stream.messages == 0 && *found == same) {
        return Ok(());
    }
    let (expected, found) = (format!("{expected:?}"), format!("{found:?}"));
    Err(Error::Mismatch { stream: stream.name.clone(), expected, found })
}

#[cfg(test)]
mod tests {
    use floodgate_event::Digest256;

    use super::*;

    #[test]
    fn an_empty_stream_must_know_how_far_it_went() {
        let state = |messages, first_seq, last_seq| State { messages, first_seq, last_seq };
        let stream = |state: State| Stream {
            name: "IN_BULK".into(),
            file: "f".into(),
            bytes: 0,
            sha256: Digest256::of(b""),
            messages: state.messages,
            first_sequence: state.first_seq,
            last_sequence: state.last_seq,
            created_us: 0,
            config: json!({}),
            state: json!({}),
        };
        assert!(compare(&stream(state(0, 0, 0)), &state(0, 1, 0)).is_ok());
        assert!(compare(&stream(state(0, 8, 7)), &state(0, 1, 0)).is_err());
        assert!(compare(&stream(state(3, 5, 7)), &state(3, 5, 7)).is_ok());
        assert!(compare(&stream(state(3, 5, 7)), &state(3, 1, 7)).is_err());
    }
}
