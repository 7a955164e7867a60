//! Answers heads that hyper refuses by itself. hyper answers these with a bare status and cannot say more.
//! This layer between hyper and the socket replaces that status with an answer of the service.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::Response;
use hyper::rt::{Read, ReadBufCursor, Write};

/// How hyper's own answers begin.
const MALFORMED: &[u8] = b"HTTP/1.1 400 Bad Request\r\n";
const TARGET_TOO_LONG: &[u8] = b"HTTP/1.1 414 URI Too Long\r\n";
const HEAD_TOO_LARGE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\n";
/// What follows in hyper's own answers, up to the date.
const REST: &[u8] = b"connection: close\r\ncontent-length: 0\r\ndate: ";
/// The bytes of a date and of the end of the head.
const DATE_AND_END: usize = 29 + 4;

/// True between a service's answer and its first write. What is written then is not an answer of hyper's own.
pub(crate) type Answering = Arc<AtomicBool>;

/// Why hyper refused an HTTP/1 head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnreadableHead {
    /// The bytes are not HTTP/1.
    Malformed,
    /// The request target is too long.
    TargetTooLong,
    /// The head has too many bytes or too many fields.
    HeadTooLarge,
}

/// A connection that replaces hyper's own answers.
pub(crate) struct Explained<I, F> {
    io: I,
    answering: Answering,
    /// Makes the answer that replaces hyper's.
    explain: F,
    /// The part of a replacing answer that is not written yet.
    rest: Bytes,
}

impl<I: Write + Unpin, F: Fn(UnreadableHead) -> Response<Bytes> + Unpin> Explained<I, F> {
    /// `explain` makes the answers that replace hyper's.
    pub(crate) fn new(io: I, answering: Answering, explain: F) -> Self {
        Self { io, answering, explain, rest: Bytes::new() }
    }

    /// Replaces `bytes` if they are an answer of hyper's own. Returns true if they are.
    fn take(&mut self, bytes: &[u8]) -> bool {
        if self.answering.swap(false, Ordering::Relaxed) {
            return false;
        }
        let Some((unread, date)) = own_answer(bytes) else { return false };
        self.rest = to_bytes(&(self.explain)(unread), date);
        true
    }

    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.rest.has_remaining() {
            let written = ready!(Pin::new(&mut self.io).poll_write(context, &self.rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.rest.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

/// The reason that hyper gives with these bytes, and the date in them.
fn own_answer(bytes: &[u8]) -> Option<(UnreadableHead, &str)> {
    let answers = [
        (MALFORMED, UnreadableHead::Malformed),
        (TARGET_TOO_LONG, UnreadableHead::TargetTooLong),
        (HEAD_TOO_LARGE, UnreadableHead::HeadTooLarge),
    ];
    let (rest, unread) =
        answers.into_iter().find_map(|(start, unread)| Some((bytes.strip_prefix(start)?, unread)))?;
    let date = rest.strip_prefix(REST).filter(|rest| rest.len() == DATE_AND_END)?;
    let date = date.strip_suffix(b"\r\n\r\n").and_then(|date| std::str::from_utf8(date).ok())?;
    Some((unread, date))
}

/// The bytes of an HTTP/1.1 answer that closes the connection.
fn to_bytes(answer: &Response<Bytes>, date: &str) -> Bytes {
    let mut bytes = format!("HTTP/1.1 {}\r\n", answer.status()).into_bytes();
    for (name, value) in answer.headers() {
        bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    let rest =
        format!("connection: close\r\ncontent-length: {}\r\ndate: {date}\r\n\r\n", answer.body().len());
    bytes.extend_from_slice(rest.as_bytes());
    bytes.extend_from_slice(answer.body());
    bytes.into()
}

impl<I: Read + Unpin, F: Unpin> Read for Explained<I, F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<I: Write + Unpin, F: Fn(UnreadableHead) -> Response<Bytes> + Unpin> Write for Explained<I, F> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_rest(context))?;
        if self.take(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_rest(context))?;
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_rest(context))?;
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_rest(context))?;
        // hyper's own answer is a head without a body: one slice.
        let mut filled = slices.iter().filter(|slice| !slice.is_empty());
        if let (Some(only), None) = (filled.next(), filled.next()) {
            return self.poll_write(context, only);
        }
        self.answering.store(false, Ordering::Relaxed);
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }
}
