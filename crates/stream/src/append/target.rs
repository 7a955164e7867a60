//! The stream that is appended to, apart from what is under way.

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

/// Says which subject `Nats-Expected-Last-Subject-Sequence` is about, where it is not the message's own.
const EXPECTED_LAST_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";
/// How long to wait before asking a server again that did not answer.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// Appends in a batch at most. A server takes 1,000; it syncs a batch four times, however many are in it.
pub const BATCH_APPENDS: usize = 128;
/// Bytes of a batch at most, if it is not an append alone.
pub const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// The sequence that an append was given, or why none is known, for people to read.
pub(super) type AckFuture = Pin<Box<dyn Future<Output = Result<u64, String>> + Send>>;

pub(super) struct Target {
    pub(super) context: Context,
    pub(super) stream: String,
    pub(super) lease: Lease,
    pub(super) fence_subject: String,
    /// The sequence of this writer's fence, once it is up.
    pub(super) fence: Option<u64>,
}

impl Target {
    /// What stands at a sequence, waiting out an unreachable server.
    pub(super) async fn read(&self, sequence: u64) -> Result<Option<Bytes>, AppendError> {
        let mut is_told = false;
        loop {
            match self.try_read(sequence).await {
                Ok(found) => return Ok(found),
                Err(error) if is_told => {
                    tracing::debug!(stream = self.stream, sequence, %error, "cannot read back");
                }
                Err(error) => tracing::warn!(stream = self.stream, sequence, %error, "cannot read back yet"),
            }
            is_told = true;
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

    /// Publishes one append; `None` if the outcome is in doubt already.
    pub(super) async fn send(
        &self,
        append: &Append,
        expected: u64,
    ) -> Result<Option<AckFuture>, AppendError> {
        let headers = self.fenced(append.headers.clone(), expected);
        self.publish(append, headers).await
    }

    /// Publishes what fits a batch of these; all of it is appended in order, or nothing. Gives an ack for
    /// each append that was taken, at least one; none at all if the outcome is in doubt already.
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

    /// Those at the beginning that go together.
    fn fitting<'a, 'b>(appends: &'a [&'b Append]) -> &'a [&'b Append] {
        let mut bytes = 0;
        let fit = appends.iter().take(BATCH_APPENDS).take_while(|append| {
            bytes += append.payload.len();
            bytes <= BATCH_BYTES
        });
        // One that is larger goes alone.
        &appends[..fit.count().max(1).min(appends.len())]
    }

    /// Publishes what comes before a batch's last append, of which there is no ack. False if it was not sent.
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

    /// Adds which sequence it must follow, and which fence must be the last.
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
