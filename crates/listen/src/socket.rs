//! A socket that records its traffic in the connection's [`Activity`], and reads no more at once than is
//! allowed.

use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::activity::Activity;

/// The most bytes of a TLS handshake. Clients send 300 to 4,000. rustls alone would buffer 64 KiB of an
/// incomplete one.
const HANDSHAKE_BYTES: usize = 16 * 1024;

/// A TCP connection below TLS.
pub(crate) struct Socket {
    stream: TcpStream,
    activity: Arc<Activity>,
    /// How many bytes may still be read until the handshake is done.
    allowance: Option<usize>,
    /// True once a read was put off because nothing is left of the allowance.
    is_spent: bool,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, activity: Arc<Activity>) -> Self {
        Self { stream, activity, allowance: None, is_spent: false }
    }

    /// Limits what is read until [`Self::handshake_done`].
    pub(crate) fn for_handshake(self) -> Self {
        Self { allowance: Some(HANDSHAKE_BYTES), ..self }
    }

    pub(crate) fn handshake_done(&mut self) {
        self.allowance = None;
    }

    /// TLS reads on for as long as it has no data for its caller. So the bytes may be those of a large first
    /// record that follows the handshake. Then putting off the read ends the handshake, and otherwise TLS
    /// asks again.
    fn spent(&mut self, context: &Context<'_>) -> Poll<io::Result<()>> {
        if mem::replace(&mut self.is_spent, true) {
            let reason = "the TLS handshake is too large";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, reason)));
        }
        context.waker().wake_by_ref();
        Poll::Pending
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
            // The connection polls again once there may be memory.
            return Poll::Pending;
        }
        if self.activity.is_turn_over() {
            // The bytes that were read are processed first. Then reading continues at once.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.allowance == Some(0) {
            return self.spent(context);
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

/// Records how many bytes HTTP takes. It lies above TLS, where [`Socket`] cannot tell whose bytes they are.
pub(crate) struct Delivered<T> {
    stream: T,
    activity: Arc<Activity>,
}

impl<T> Delivered<T> {
    pub(crate) fn new(stream: T, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Delivered<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.activity.delivered(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Delivered<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
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
