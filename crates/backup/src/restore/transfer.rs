//! Sending one stream's snapshot: `$JS.API.STREAM.RESTORE.<stream>` names a subject for its chunks,
//! each of which is answered, the last (an empty one) by what stands there then.
//! In a cluster the server that unpacks them may be any.

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

use super::super::folder::disk;
use super::super::link;
use super::super::manifest::Stream;
use super::super::{BackupError, Progress};

/// Bytes of a chunk; below every server's `max_payload`.
const CHUNK_BYTES: usize = 256 * 1024;
/// Chunks sent ahead of their answers, so that a distant server is not waited for with each.
const AHEAD: usize = 16;
/// How long the server may take to answer a chunk.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take to unpack the whole and make the stream.
const UNPACK_LIMIT: Duration = Duration::from_secs(1_800);
/// How long a cluster may take to agree on what it needs for this, and between two looks.
const AGREE_LIMIT: Duration = Duration::from_secs(60);
const AGREE_PAUSE: Duration = Duration::from_millis(200);
/// JetStream's code for what it cannot do now.
const UNAVAILABLE: usize = 503;

#[derive(Deserialize)]
struct Begun {
    deliver_subject: String,
}

/// What is there at the end.
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

/// Sends a stream under the given configuration, and compares what came of it with what was saved.
pub(super) async fn send(
    context: &Context,
    stream: &Stream,
    config: &Value,
    folder: &Path,
    progress: &mut impl Progress,
) -> Result<(), BackupError> {
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
    until_led(context, stream).await
}

/// Asks until the cluster has a server for it, which it may not just after its start.
async fn begin(context: &Context, stream: &Stream, config: &Value) -> Result<Begun, BackupError> {
    let ask = json!({"config": config, "state": stream.state});
    let end = Instant::now() + AGREE_LIMIT;
    loop {
        let answer: Result<Response<Begun>, _> =
            context.request(format!("STREAM.RESTORE.{}", stream.name), &ask).await;
        match answer {
            Ok(Response::Ok(begun)) => return Ok(begun),
            Ok(Response::Err { error }) if is_passing(&error) && Instant::now() < end => {}
            Ok(Response::Err { error }) => return Err(refused(stream, error.to_string())),
            Err(error) => {
                return Err(BackupError::Look { stream: stream.name.clone(), source: error.into() });
            }
        }
        sleep(AGREE_PAUSE).await;
    }
}

/// Whether a refusal is that of a cluster whose servers do not know each other yet.
fn is_passing(error: &async_nats::jetstream::Error) -> bool {
    error.code() == UNAVAILABLE || error.error_code() == ErrorCode::CLUSTER_NO_PEERS
}

/// Waits until a server leads the stream and has all of it:
/// in a cluster that is chosen after the last answer.
async fn until_led(context: &Context, stream: &Stream) -> Result<(), BackupError> {
    let end = Instant::now() + AGREE_LIMIT;
    let mut missing = "no server leads it";
    while Instant::now() < end {
        // No answer is one that says no.
        if let Ok(Some(info)) = link::find(context, &stream.name).await
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
    async fn chunks(&mut self, path: &Path, progress: &mut impl Progress) -> Result<(), BackupError> {
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

    async fn put(&mut self, chunk: Bytes) -> Result<(), BackupError> {
        let (target, inbox) = (self.target.clone(), self.inbox.clone());
        let sent = self.context.client().publish_with_reply(target, inbox, chunk).await;
        self.unanswered += 1;
        sent.map_err(|_| broken(self.stream, GONE))
    }

    /// Sends the first chunk until it is taken: our server may hear of the other's
    /// subscription after its answer.
    async fn first(&mut self, chunk: Bytes) -> Result<(), BackupError> {
        let end = Instant::now() + AGREE_LIMIT;
        loop {
            self.put(chunk.clone()).await?;
            let answer = self.next(ANSWER_LIMIT).await?;
            self.unanswered -= 1;
            if is_taken(&answer) || Instant::now() >= end {
                return self.check(&answer);
            }
            sleep(AGREE_PAUSE).await;
        }
    }

    async fn answer(&mut self) -> Result<(), BackupError> {
        let answer = self.next(ANSWER_LIMIT).await?;
        self.unanswered -= 1;
        self.check(&answer)
    }

    /// An answer with something in it is a refusal.
    fn check(&self, answer: &Message) -> Result<(), BackupError> {
        if is_taken(answer) && answer.payload.is_empty() { Ok(()) } else { Err(self.refusal(answer)) }
    }

    /// What an answer says that is not the one hoped for.
    fn refusal(&self, answer: &Message) -> BackupError {
        if !is_taken(answer) {
            return broken(self.stream, NOBODY);
        }
        match serde_json::from_slice::<Response<Restored>>(&answer.payload) {
            Ok(Response::Err { error }) => refused(self.stream, error.to_string()),
            _ => refused(self.stream, String::from_utf8_lossy(&answer.payload).into_owned()),
        }
    }

    async fn finish(&mut self) -> Result<Restored, BackupError> {
        self.put(Bytes::new()).await?;
        let answer = self.next(UNPACK_LIMIT).await?;
        match serde_json::from_slice::<Response<Restored>>(&answer.payload) {
            Ok(Response::Ok(restored)) => Ok(restored),
            _ => Err(self.refusal(&answer)),
        }
    }

    async fn next(&mut self, limit: Duration) -> Result<Message, BackupError> {
        let answer = timeout(limit, self.answers.next()).await;
        let answer = answer.map_err(|_| broken(self.stream, "the server did not answer in time"))?;
        answer.ok_or_else(|| broken(self.stream, GONE))
    }
}

/// Whether somebody was there for what was sent: nats-server answers in the place of nobody.
fn is_taken(answer: &Message) -> bool {
    answer.status != Some(StatusCode::NO_RESPONDERS)
}

const GONE: &str = "the connection is gone";
const NOBODY: &str = "no server takes it";

fn broken(stream: &Stream, reason: &'static str) -> BackupError {
    BackupError::BrokenOff { stream: stream.name.clone(), reason }
}

fn refused(stream: &Stream, reason: String) -> BackupError {
    BackupError::Refused { stream: stream.name.clone(), reason }
}

fn compare(stream: &Stream, found: &State) -> Result<(), BackupError> {
    let expected =
        State { messages: stream.messages, first_seq: stream.first_sequence, last_seq: stream.last_sequence };
    // A server gives the first sequence of an empty stream as it likes.
    let same = State { first_seq: found.first_seq, ..expected.clone() };
    if *found == expected || (stream.messages == 0 && *found == same) {
        return Ok(());
    }
    let (expected, found) = (format!("{expected:?}"), format!("{found:?}"));
    Err(BackupError::Differs { stream: stream.name.clone(), expected, found })
}

#[cfg(test)]
mod tests {
    use floodgate_event::snapshot::Digest256;

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
