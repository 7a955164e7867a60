//! A body that the sender may not have been asked for yet.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use floodgate_listen::{Payload, awaits_continue};
use http::Request;
use http::request::Parts;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::pace::{Pace, Pauses, SHORT_PAUSE};

/// How much of a refused body is read and discarded, so that the sender sees the answer and not a reset.
const DISCARD_BYTES: usize = 16 * 1024 * 1024;
/// How long reading a refused body may take, and how long less than a kilobyte of it may arrive: the time in
/// which TCP sends a lost segment again. Its stream or connection takes memory meanwhile.
const DISCARD_PAUSES: Pauses = Pauses { whole: Duration::from_secs(5), longest: Duration::from_secs(2) };

/// The body of a request. It knows whether the sender waits for a 100 (`Expect: 100-continue`), which hyper
/// sends at the first read.
pub(crate) struct Arriving {
    body: Payload,
    awaited: bool,
    /// True once nobody can tell where the body ends: it broke a rule of HTTP, or its sender stopped sending.
    is_lost: bool,
    /// How many bytes were read of it.
    bytes: u64,
}

impl Arriving {
    /// Separates a request into its head and its body.
    pub(crate) fn of(request: Request<Payload>) -> (Parts, Self) {
        let awaited = awaits_continue(&request);
        let (parts, body) = request.into_parts();
        let awaited = awaited && !body.is_end_stream();
        (parts, Self { body, awaited, is_lost: false, bytes: 0 })
    }

    /// How many bytes were read of it, also to be discarded.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Stops waiting for a sender that stopped sending.
    pub(crate) fn give_up(&mut self) {
        self.is_lost = true;
    }

    /// Ends the body after a refusal. Returns true if the connection can take another request. It cannot if
    /// the body did not arrive whole, or if the sender was not asked for it: the sender may send the body or
    /// not, so nobody knows where the next request begins.
    pub(crate) async fn let_go(&mut self) -> bool {
        !self.awaited && !self.is_lost && discard(self).await
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.awaited = false;
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.is_lost |= matches!(frame, Some(Err(_)));
        if let Some(Ok(frame)) = &frame {
            self.bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Reads the rest of a refused body within bounds, and discards it. Returns true if it came to its end. A
/// sender that is slower than this gets its answer all the same, and a closed connection.
async fn discard(body: &mut Arriving) -> bool {
    let (mut left, mut pace) = (DISCARD_BYTES, Pace::new(DISCARD_PAUSES));
    while !pace.is_lost() {
        let Ok(frame) = timeout(SHORT_PAUSE, body.frame()).await else { continue };
        let Some(frame) = frame else { return true };
        let Ok(frame) = frame else { return false };
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        pace.count(bytes);
        left = left.saturating_sub(bytes);
        if left == 0 {
            return false;
        }
    }
    false
}
