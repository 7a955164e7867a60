//! A socket that tells the connection's [`Activity`] what passes through it, and reads no
//! more at once than is asked.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::activity::Activity;

/// The most bytes of a TLS handshake. Clients send 300 to 4,000; rustls alone would buffer
/// 64 KiB of an unfinished one.
const HANDSHAKE_BYTES: usize = 16 * 1024;

/// A TCP connection, below TLS.
pub(crate) struct Socket {
    stream: TcpStream,
    activity: Arc<Activity>,
    /// Bytes that may still be read, until the handshake is done.
    allowance: Option<usize>,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, activity: Arc<Activity>) -> Self {
        Self { stream, activity, allowance: None }
    }

    /// Bounds what is read until [`Self::handshake_done`].
    pub(crate) fn for_handshake(self) -> Self {
        Self { allowance: Some(HANDSHAKE_BYTES), ..self }
    }

    pub(crate) fn handshake_done(&mut self) {
        self.allowance = None;
    }

    fn note(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.activity.set_blocked(result.is_pending());
        result
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.activity.is_paused() {
            // The watch looks again whether there is memory.
            return Poll::Pending;
        }
        if self.activity.is_turn_over() {
            // What was read is dealt with first; then it goes on at once.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.allowance == Some(0) {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the TLS handshake is too large",
            )));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = buffer.filled().len() - before;
        self.allowance = self.allowance.map(|left| left.saturating_sub(read));
        self.activity.read(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.note(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
