//! Reading a body within its bounds: bytes, time, and the memory of the process.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http_body::Body as _;
use http_body_util::BodyExt as _;

use super::arriving::Arriving;
use super::content_coding::Coding;
use super::refusal::Unavailable;
use super::{Received, Refusal};
use crate::budget::{Budget, Exhausted, Reservation};

/// Memory is taken in steps of this many bytes, so that announcing a large body costs nobody else theirs.
const STEP: usize = 64 * 1024;
/// What a request takes besides its body: headers, envelope, bookkeeping.
const OVERHEAD: usize = 4 * 1024;
/// How much of a refused body is read and thrown away, so that the sender sees the answer and not a reset.
const DISCARD_BYTES: usize = 16 * 1024 * 1024;
/// How long that may take.
const DISCARD_TIME: Duration = Duration::from_secs(5);

/// Bounds of one body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// In bytes, as sent and decoded.
    pub(crate) bytes: usize,
    /// From the first byte to the last.
    pub(crate) time: Duration,
}

impl From<Exhausted> for Refusal {
    fn from(_: Exhausted) -> Self {
        Self::Unavailable(Unavailable::Memory)
    }
}

/// Reads a request to its end, and gives the memory it holds with it.
pub(crate) async fn receive(
    parts: Parts,
    body: &mut Arriving,
    peer: SocketAddr,
    bounds: Bounds,
    budget: &Budget,
) -> Result<(Received, Reservation), Refusal> {
    let coding = Coding::of(&parts.headers)?;
    let limit = bounds.bytes;
    let mut memory = budget.reserve(OVERHEAD)?;
    let raw = tokio::time::timeout(bounds.time, collect(body, limit, &mut memory))
        .await
        .map_err(|_| Refusal::TimedOut)??;
    if coding != Coding::Identity {
        memory.grow_by(limit)?;
    }
    Ok((Received { parts, raw, coding, limit, peer, at: SystemTime::now() }, memory))
}

async fn collect(body: &mut Arriving, limit: usize, memory: &mut Reservation) -> Result<Bytes, Refusal> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(Refusal::TooLarge { limit });
    }
    memory.grow_to(OVERHEAD + announced.min(STEP))?;
    let first = next_data(body).await?.unwrap_or_default();
    if first.len() == announced && body.is_end_stream() {
        // The usual webhook arrives in one piece, which is passed on without a copy.
        return if first.len() > limit { Err(Refusal::TooLarge { limit }) } else { Ok(first) };
    }
    let mut whole = BytesMut::with_capacity(announced.clamp(first.len(), STEP.max(first.len())));
    let mut next = Some(first);
    while let Some(data) = next {
        let len = whole.len() + data.len();
        if len > limit {
            return Err(Refusal::TooLarge { limit });
        }
        memory.grow_to(OVERHEAD + len.next_multiple_of(STEP).min(limit))?;
        whole.extend_from_slice(&data);
        next = next_data(body).await?;
    }
    Ok(whole.freeze())
}

/// The next piece of data; trailers are skipped.
async fn next_data(body: &mut Arriving) -> Result<Option<Bytes>, Refusal> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::Malformed("the body did not arrive whole"))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Reads the rest of a refused body, within bounds, and throws it away.
pub(crate) async fn discard(body: &mut Arriving) {
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
    let _ = tokio::time::timeout(DISCARD_TIME, rest).await;
}
