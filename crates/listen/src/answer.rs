//! Answers: what holds memory until it is written, and what tells the connection that a peer takes it.

use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

use crate::activity::Ongoing;
use crate::memory::Reservation;

/// A body of known bytes, with the memory that they are counted in.
#[derive(Debug, Default)]
pub struct Held {
    bytes: Bytes,
    _memory: Option<Reservation>,
}

impl Held {
    /// Gives `memory` back once the bytes are written, or cannot be any more.
    pub fn new(bytes: impl Into<Bytes>, memory: Reservation) -> Self {
        Self { bytes: bytes.into(), _memory: Some(memory) }
    }

    /// The same, counted in `memory`.
    #[must_use]
    pub fn in_memory(self, memory: Reservation) -> Self {
        Self { _memory: Some(memory), ..self }
    }

    /// The bytes alone.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

/// Of few bytes, which the memory of their request or connection covers.
impl<B: Into<Bytes>> From<B> for Held {
    fn from(bytes: B) -> Self {
        Self { bytes: bytes.into(), _memory: None }
    }
}

impl Buf for Held {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

impl Body for Held {
    type Data = Self;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self>, Self::Error>>> {
        if self.bytes.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut *self)))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}

/// A service's body on its way to the peer.
pub(crate) struct Sent<B> {
    body: B,
    ongoing: Arc<Ongoing>,
}

impl<B> Sent<B> {
    pub(crate) fn new(body: B, ongoing: Arc<Ongoing>) -> Self {
        Self { body, ongoing }
    }
}

impl<B: Body + Unpin> Body for Sent<B> {
    type Data = Piece<B::Data>;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        let piece = |data| Piece { data, ongoing: Arc::clone(&self.ongoing) };
        frame.map(|frame| frame.map(|result| result.map(|frame| frame.map_data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A part of an answer. hyper and h2 keep it until it is written, and advance it as it is.
pub(crate) struct Piece<D> {
    data: D,
    ongoing: Arc<Ongoing>,
}

impl<D: Buf> Buf for Piece<D> {
    fn remaining(&self) -> usize {
        self.data.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.data.chunk()
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.data.chunks_vectored(slices)
    }

    fn advance(&mut self, count: usize) {
        self.data.advance(count);
        self.ongoing.step();
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use http_body_util::BodyExt as _;

    use super::*;
    use crate::memory::Budget;

    #[tokio::test]
    async fn memory_is_given_back_when_the_bytes_are_gone_and_not_when_they_are_handed_over() {
        let budget = Budget::unshared(100);
        let memory = budget.account(Ipv4Addr::LOCALHOST.into()).reserve(5).unwrap();
        let mut body = Held::new("bytes", memory);
        let mut data = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(body.is_end_stream() && body.frame().await.is_none());
        drop(body);
        data.advance(5);
        assert_eq!(budget.used(), 5);
        drop(data);
        assert_eq!(budget.used(), 0);
    }
}
