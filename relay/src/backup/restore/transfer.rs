//! Sending one stream's snapshot: `$JS.API.STREAM.RESTORE.<stream>` names a subject for its chunks, each of which is
//! answered, the last (an empty one) by what stands there then.

use std::path::Path;
use std::time::Duration;

use async_nats::Subscriber;
use async_nats::jetstream::Context;
use async_nats::jetstream::response::Response;
use bytes::Bytes;
use futures::StreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use super::super::folder::disk;
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
    compare(stream, &restored.state)
}

async fn begin(context: &Context, stream: &Stream, config: &Value) -> Result<Begun, BackupError> {
    let ask = json!({"config": config, "state": stream.state});
    let answer: Result<Response<Begun>, _> =
        context.request(format!("STREAM.RESTORE.{}", stream.name), &ask).await;
    match answer {
        Ok(Response::Ok(begun)) => Ok(begun),
        Ok(Response::Err { error }) => Err(refused(stream, error.to_string())),
        Err(error) => Err(BackupError::Look { stream: stream.name.clone(), source: error.into() }),
    }
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
        loop {
            let read = file.read(&mut buffer).await.map_err(failed)?;
            if read == 0 {
                break;
            }
            self.put(Bytes::copy_from_slice(&buffer[..read])).await?;
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

    /// An answer with something in it is a refusal.
    async fn answer(&mut self) -> Result<(), BackupError> {
        let answer = self.next(ANSWER_LIMIT).await?;
        self.unanswered -= 1;
        if answer.is_empty() {
            return Ok(());
        }
        match serde_json::from_slice::<Response<Restored>>(&answer) {
            Ok(Response::Err { error }) => Err(refused(self.stream, error.to_string())),
            _ => Err(refused(self.stream, String::from_utf8_lossy(&answer).into_owned())),
        }
    }

    async fn finish(&mut self) -> Result<Restored, BackupError> {
        self.put(Bytes::new()).await?;
        let answer = self.next(UNPACK_LIMIT).await?;
        match serde_json::from_slice::<Response<Restored>>(&answer) {
            Ok(Response::Ok(restored)) => Ok(restored),
            Ok(Response::Err { error }) => Err(refused(self.stream, error.to_string())),
            Err(_) => Err(refused(self.stream, String::from_utf8_lossy(&answer).into_owned())),
        }
    }

    async fn next(&mut self, limit: Duration) -> Result<Bytes, BackupError> {
        let answer = timeout(limit, self.answers.next()).await;
        let answer = answer.map_err(|_| broken(self.stream, "the server did not answer in time"))?;
        answer.map(|message| message.payload).ok_or_else(|| broken(self.stream, GONE))
    }
}

const GONE: &str = "the connection is gone";

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
