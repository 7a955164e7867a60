//! The stream of an appender: how it publishes and reads back, without the state of what is under way.

use std::future::IntoFuture as _;
use std::pin::Pin;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::client::PublishErrorKind as ClientErrorKind;
use async_nats::header::{
    NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL, NATS_BATCH_ID, NATS_BATCH_SEQUENCE,
    NATS_EXPECTED_LAST_SEQUENCE, NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
};
use async_nats::jetstream::Context;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::RawMessageErrorKind;
use bytes::Bytes;
use futures::{FutureExt as _, TryFutureExt as _};
use ulid::Ulid;

use super::{Append, AppendError};
use crate::lease::Lease;

/// The header with the subject of `Nats-Expected-Last-Subject-Sequence`, if it is not that of the message.
const EXPECTED_LAST_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";
/// The pause before a server that did not answer is asked again.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// The most appends in a batch. A server takes 1,000. It syncs a batch four times, whatever its size.
pub const BATCH_APPENDS: usize = 128;
/// The most bytes of a batch. A larger append is sent alone.
pub const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// The sequence of an append, or the reason why it is unknown.
pub(super) type AckFuture = Pin<Box<dyn Future<Output = Result<u64, String>> + Send>>;

pub(super) struct Target {
    pub(super) context: Context,
    pub(super) stream: String,
    pub(super) lease: Lease,
    pub(super) fence_subject: String,
    /// The sequence of this writer's fence, once it is appended.
    pub(super) fence: Option<u64>,
}

impl Target {
    /// Reads the message at a sequence, and waits for as long as the server is unreachable.
    pub(super) async fn read(&self, sequence: u64) -> Result<Option<Bytes>, AppendError> {
        let mut is_logged = false;
        loop {
            match self.try_read(sequence).await {
                Ok(found) => return Ok(found),
                Err(error) if is_logged => {
                    tracing::debug!(stream = self.stream, sequence, %error, "cannot read back");
                }
                Err(error) => tracing::warn!(stream = self.stream, sequence, %error, "cannot read back yet"),
            }
            is_logged = true;
            self.pause().await?;
        }
    }

    async fn try_read(&self, sequence: u64) -> Result<Option<Bytes>, async_nats::Error> {
        let stream = self.context.get_stream_no_info(&self.stream).await?;
        match stream.get_raw_message(sequence).await {
            Ok(message) => Ok(Some(message.payload)),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Publishes one append. None if its outcome is in doubt already.
    pub(super) async fn send(
        &self,
        append: &Append,
        expected: u64,
    ) -> Result<Option<AckFuture>, AppendError> {
        let headers = self.fenced(append.headers.clone(), expected);
        self.publish(append, headers).await
    }

    /// Publishes as many appends as one batch takes. The stream appends all of them in order, or none.
    /// Returns an ack for each append in the batch, at least one, or no ack if the outcome is in doubt
    /// already.
    pub(super) async fn send_some(
        &self,
        appends: &[&Append],
        expected: u64,
    ) -> Result<Vec<AckFuture>, AppendError> {
        let (last, begin) = match Self::fitting(appends).split_last() {
            Some((only, [])) => return Ok(self.send(only, expected).await?.into_iter().collect()),
            Some((last, begin)) => (last, begin),
            None => return Ok(Vec::new()),
        };
        let id = Ulid::generate().to_string();
        let mut headers = (1_u64..).map(|number| {
            let mut headers = HeaderMap::new();
            headers.insert(NATS_BATCH_ID, id.as_str());
            headers.insert(NATS_BATCH_SEQUENCE, number.to_string());
            if number == 1 { self.fenced(headers, expected) } else { headers }
        });
        for (append, headers) in begin.iter().zip(headers.by_ref()) {
            if !self.publish_member(append, headers).await? {
                return Ok(Vec::new());
            }
        }
        let mut commit = headers.next().unwrap_or_default();
        commit.insert(NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL);
        let Some(ack) = self.publish(last, merged(&last.headers, commit)).await? else {
            return Ok(Vec::new());
        };
        let (ack, behind) = (ack.shared(), u64::try_from(begin.len()).unwrap_or(u64::MAX));
        let place = |ahead| ack.clone().map_ok(move |last: u64| last.saturating_sub(ahead)).boxed();
        Ok((0..=behind).rev().map(place).collect())
    }

    /// The first appends, as many as one batch takes.
    fn fitting<'a, 'b>(appends: &'a [&'b Append]) -> &'a [&'b Append] {
        let mut bytes = 0;
        let fit = appends.iter().take(BATCH_APPENDS).take_while(|append| {
            bytes += append.payload.len();
            bytes <= BATCH_BYTES
        });
        // A larger append is sent alone.
        &appends[..fit.count().max(1).min(appends.len())]
    }

    /// Publishes a message of a batch before the last one. It gets no ack. Returns false if it was not sent.
    async fn publish_member(&self, append: &Append, headers: HeaderMap) -> Result<bool, AppendError> {
        self.check_lease()?;
        let headers = merged(&append.headers, headers);
        let (subject, payload) = (append.subject.clone(), append.payload.clone());
        match self.context.client().publish_with_headers(subject, headers, payload).await {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ClientErrorKind::MaxPayloadExceeded => {
                Err(AppendError::TooLarge(append.payload.len()))
            }
            Err(_) => Ok(false),
        }
    }

    async fn publish(&self, append: &Append, headers: HeaderMap) -> Result<Option<AckFuture>, AppendError> {
        self.check_lease()?;
        let publish = PublishMessage::build().headers(headers).payload(append.payload.clone());
        match self.context.send_publish(append.subject.clone(), publish).await {
            Ok(ack) => {
                let ack = ack.into_future().map_ok(|ack| ack.sequence).map_err(|error| error.to_string());
                Ok(Some(ack.boxed()))
            }
            Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                Err(AppendError::TooLarge(append.payload.len()))
            }
            Err(_) => Ok(None),
        }
    }

    fn check_lease(&self) -> Result<(), AppendError> {
        if self.lease.is_held() { Ok(()) } else { Err(AppendError::Superseded) }
    }

    /// Adds the sequence that the append must follow, and the fence that must be the last one.
    fn fenced(&self, mut headers: HeaderMap, expected: u64) -> HeaderMap {
        headers.insert(NATS_EXPECTED_LAST_SEQUENCE, expected.to_string());
        if let Some(fence) = self.fence {
            headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, fence.to_string());
            headers.insert(EXPECTED_LAST_SUBJECT, self.fence_subject.as_str());
        }
        headers
    }

    pub(super) async fn pause(&self) -> Result<(), AppendError> {
        tokio::select! {
            () = self.lease.lost() => Err(AppendError::Superseded),
            () = tokio::time::sleep(RETRY_PAUSE) => Ok(()),
        }
    }
}

fn merged(headers: &HeaderMap, more: HeaderMap) -> HeaderMap {
    let mut all = headers.clone();
    for (name, values) in more.iter() {
        for value in values {
            all.insert(name.clone(), value.clone());
        }
    }
    all
}
