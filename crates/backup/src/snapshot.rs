//! Saves one stream's snapshot. `$JS.API.STREAM.SNAPSHOT.<stream>` sends the chunks to an inbox, and
//! continues as each is answered.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::response::Response;
use async_nats::{Message, Subscriber};
use bytes::Bytes;
use floodgate_event::Digest256;
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use super::folder::{Unfinished, disk};
use super::manifest::Stream;
use super::{Error, Progress};

/// The bytes of a chunk that the server sends.
const CHUNK_BYTES: u64 = 128 * 1024;
/// Bytes that the server sends ahead of the answers. A backup holds no more in memory.
const WINDOW_BYTES: u64 = 4 * 1024 * 1024;
/// How long the server may take until the first chunk, and between two chunks.
const SILENCE: Duration = Duration::from_secs(60);

#[derive(Serialize)]
struct Ask<'a> {
    deliver_subject: &'a str,
    no_consumers: bool,
    chunk_size: u64,
    window_size: u64,
    /// The server checks each message's checksum first.
    jsck: bool,
}

#[derive(Deserialize)]
struct Begun {
    config: Value,
    state: Value,
}

/// The counts in the server's description of a stream.
#[derive(Deserialize)]
struct Counts {
    messages: u64,
    bytes: u64,
    first_seq: u64,
    last_seq: u64,
}

/// Saves a stream into a file of its own, which is on disk when this returns.
pub(super) async fn save(
    context: &Context,
    stream: &str,
    folder: &Unfinished,
    progress: &mut impl Progress,
) -> Result<Stream, Error> {
    let look = |source| Error::Stream { stream: stream.to_owned(), source };
    let created = context.get_stream(stream).await.map_err(|error| look(error.into()))?.cached_info().created;
    let inbox = context.client().new_inbox();
    let chunks = context.client().subscribe(inbox.clone()).await.map_err(|error| look(error.into()))?;
    let begun = begin(context, stream, &inbox).await?;
    let counts = Counts::deserialize(&begun.state).map_err(|error| look(error.into()))?;
    progress.begins(stream, counts.bytes);

    let file = format!("{stream}.snapshot");
    let mut transfer = Transfer { context, stream, chunks, index: 0 };
    let (bytes, sha256) = transfer.write(folder, &file, progress).await?;
    Ok(Stream {
        name: stream.to_owned(),
        file,
        bytes,
        sha256,
        messages: counts.messages,
        first_sequence: counts.first_seq,
        last_sequence: counts.last_seq,
        created_us: u64::try_from(created.unix_timestamp_nanos() / 1_000).unwrap_or(0),
        config: begun.config,
        state: begun.state,
    })
}

async fn begin(context: &Context, stream: &str, inbox: &str) -> Result<Begun, Error> {
    let ask = Ask {
        deliver_subject: inbox,
        no_consumers: true,
        chunk_size: CHUNK_BYTES,
        window_size: WINDOW_BYTES,
        jsck: true,
    };
    let subject = format!("STREAM.SNAPSHOT.{stream}");
    // The server first checks every message, which takes long for a large stream.
    let mut patient = context.clone();
    patient.set_timeout(SILENCE);
    let answer: Response<Begun> = patient
        .request(subject, &ask)
        .await
        .map_err(|error| Error::Stream { stream: stream.to_owned(), source: error.into() })?;
    match answer {
        Response::Ok(begun) => Ok(begun),
        Response::Err { error } => {
            Err(Error::Refused { stream: stream.to_owned(), reason: error.to_string() })
        }
    }
}

/// A snapshot whose chunks are being received.
struct Transfer<'a> {
    context: &'a Context,
    stream: &'a str,
    chunks: Subscriber,
    /// The last chunk's number, as the server counts them.
    index: u64,
}

impl Transfer<'_> {
    async fn write(
        &mut self,
        folder: &Unfinished,
        name: &str,
        progress: &mut impl Progress,
    ) -> Result<(u64, Digest256), Error> {
        let failed = |error| disk(&folder.path(name), error);
        let mut file = File::from_std(folder.file(name)?);
        let (mut bytes, mut hasher) = (0, Sha256::new());
        while let Some(chunk) = self.next().await? {
            file.write_all(&chunk).await.map_err(failed)?;
            hasher.update(&chunk);
            bytes += chunk.len() as u64;
            progress.moved(chunk.len() as u64);
        }
        file.sync_all().await.map_err(failed)?;
        Ok((bytes, Digest256::from_bytes(hasher.finalize().into())))
    }

    /// Receives the next chunk and asks for more. `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let message = timeout(SILENCE, self.chunks.next()).await.ok().flatten();
        let message = message.ok_or_else(|| self.broken("no chunk came for a minute"))?;
        if message.payload.is_empty() {
            return self.end(&message).map(|()| None);
        }
        if let Some(reply) = message.reply {
            self.count(&reply)?;
            let answered = self.context.client().publish(reply, Bytes::new()).await;
            answered.map_err(|_| self.broken("the connection is gone"))?;
        }
        Ok(Some(message.payload))
    }

    /// Checks the chunk's number, in which the reply's subject ends: a missing one would be a hole in the
    /// file.
    fn count(&mut self, reply: &str) -> Result<(), Error> {
        let index = reply.rsplit('.').next().and_then(|index| index.parse().ok());
        if index != Some(self.index + 1) {
            return Err(self.broken("a chunk went missing on the way"));
        }
        self.index += 1;
        Ok(())
    }

    /// Checks the status at the end, which says why the server gave up if it did.
    fn end(&self, message: &Message) -> Result<(), Error> {
        match message.status {
            None => Ok(()),
            Some(status) if status.is_success() => Ok(()),
            Some(status) => {
                let said = message.description.as_deref().unwrap_or_default();
                Err(Error::Refused { stream: self.stream.to_owned(), reason: format!("{status} {said}") })
            }
        }
    }

    fn broken(&self, reason: &'static str) -> Error {
        Error::BrokenOff { stream: self.stream.to_owned(), reason }
    }
}
