//! A body that may not be asked for yet.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use floodgate_listen::{Payload, awaits_continue};
use http::Request;
use http::request::Parts;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::time::timeout;

/// How much of a refused body is read and thrown away, so that the sender sees the answer and not a reset.
const DISCARD_BYTES: usize = 16 * 1024 * 1024;
/// How long that may take.
const DISCARD_TIME: Duration = Duration::from_secs(5);

/// A request's body, which knows whether its sender waits to be asked for it (`Expect: 100-continue`).
/// Reading from it makes hyper send the 100.
pub(crate) struct Arriving {
    body: Payload,
    awaited: bool,
}

impl Arriving {
    /// Takes a request apart.
    pub(crate) fn of(request: Request<Payload>) -> (Parts, Self) {
        let awaited = awaits_continue(&request);
        let (parts, body) = request.into_parts();
        let awaited = awaited && !body.is_end_stream();
        (parts, Self { body, awaited })
    }

    /// Ends it after a refusal. Returns whether the connection can be used for another request: what the
    /// sender was not asked for it may send or not, so nobody can say where the next one would begin.
    pub(crate) async fn let_go(&mut self) -> bool {
        if !self.awaited {
            discard(self).await;
        }
        !self.awaited
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
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Reads the rest of a refused body, within bounds, and throws it away.
async fn discard(body: &mut Arriving) {
    let rest = async {
        let mut left = DISCARD_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                break;
            }
        }
    };
    // A sender that is slower than this gets its answer all the same, and a closed connection.
    let _ = timeout(DISCARD_TIME, rest).await;
}
