//! The bodies of answers: they hold their memory until they are written, and record that the peer reads them.

use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

use crate::activity::ActiveRequest;
use crate::memory::Reservation;

/// The body of an answer, with the memory that its bytes are counted in.
#[derive(Debug, Default)]
pub struct AnswerBody {
    bytes: Bytes,
    _memory: Option<Reservation>,
}

impl AnswerBody {
    /// A body that releases `memory` once its bytes are written or the connection has ended.
    pub fn new(bytes: impl Into<Bytes>, memory: Reservation) -> Self {
        Self { bytes: bytes.into(), _memory: Some(memory) }
    }

    /// The same body with `memory` as the memory that its bytes are counted in.
    #[must_use]
    pub fn in_memory(self, memory: Reservation) -> Self {
        Self { _memory: Some(memory), ..self }
    }

    /// Returns the bytes and releases the memory.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

/// A short body. The memory of the request or connection covers it.
impl<B: Into<Bytes>> From<B> for AnswerBody {
    fn from(bytes: B) -> Self {
        Self { bytes: bytes.into(), _memory: None }
    }
}

impl Buf for AnswerBody {
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

impl Body for AnswerBody {
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

/// The body of a service's answer while it is sent.
pub(crate) struct Sent<B> {
    /// None for an answer without content.
    body: Option<B>,
    active: Arc<ActiveRequest>,
}

impl<B> Sent<B> {
    pub(crate) fn new(body: Option<B>, active: Arc<ActiveRequest>) -> Self {
        Self { body, active }
    }
}

impl<B: Body + Unpin> Body for Sent<B> {
    type Data = Piece<B::Data>;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(context);
        let piece = |data| Piece { data, active: Arc::clone(&self.active) };
        frame.map(|frame| frame.map(|result| result.map(|frame| frame.map_data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

/// A part of an answer. hyper and h2 keep it until it is written, and advance it meanwhile.
pub(crate) struct Piece<D> {
    data: D,
    active: Arc<ActiveRequest>,
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
        self.active.step();
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
        let mut body = AnswerBody::new("bytes", memory);
        let mut data = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(body.is_end_stream() && body.frame().await.is_none());
        drop(body);
        data.advance(5);
        assert_eq!(budget.used(), 5);
        drop(data);
        assert_eq!(budget.used(), 0);
    }
}
