//! Problem documents for the heads that hyper refuses itself. It answers those with a bare status, and has no place to
//! say more; this stands between it and the socket and puts the document behind that status.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use hyper::rt::{Read, ReadBufCursor, Write};

use super::Refusal;

/// How hyper's own answers begin.
const MALFORMED: &[u8] = b"HTTP/1.1 400 Bad Request\r\n";
const TARGET_TOO_LONG: &[u8] = b"HTTP/1.1 414 URI Too Long\r\n";
const HEAD_TOO_LARGE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\n";
/// All that they say besides, then the date.
const REST: &[u8] = b"connection: close\r\ncontent-length: 0\r\ndate: ";
/// Bytes of a date and of the head's end.
const DATE_AND_END: usize = 29 + 4;

/// Set between a service's answer and the first write of it: what is written then is no answer of hyper's.
pub(super) type Answering = Arc<AtomicBool>;

/// A connection on which hyper's own answers are explained.
pub(super) struct Explained<I, F> {
    io: I,
    answering: Answering,
    /// The most bytes of a head.
    limit: usize,
    /// Told of each refusal.
    note: F,
    /// What of an explained answer is not written yet.
    rest: Bytes,
}

impl<I: Write + Unpin, F: Fn(&Refusal) + Unpin> Explained<I, F> {
    /// `limit` is how many bytes a head may have; `note` is told of each refusal.
    pub(super) fn new(io: I, answering: Answering, limit: usize, note: F) -> Self {
        Self { io, answering, limit, note, rest: Bytes::new() }
    }

    /// Takes an answer of hyper's own off its hands.
    fn take(&mut self, bytes: &[u8]) -> bool {
        if self.answering.swap(false, Ordering::Relaxed) {
            return false;
        }
        let Some((refusal, date)) = own_answer(bytes, self.limit) else { return false };
        (self.note)(&refusal);
        self.rest = refusal.to_http1(date).into();
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

/// What hyper refuses with these bytes, and the date as it wrote it.
fn own_answer(bytes: &[u8], limit: usize) -> Option<(Refusal, &str)> {
    let answers = [
        (MALFORMED, Refusal::Malformed("the head is not HTTP")),
        (TARGET_TOO_LONG, Refusal::TargetTooLong),
        (HEAD_TOO_LARGE, Refusal::HeadTooLarge { limit }),
    ];
    let (rest, refusal) =
        answers.into_iter().find_map(|(start, refusal)| Some((bytes.strip_prefix(start)?, refusal)))?;
    let date = rest.strip_prefix(REST).filter(|rest| rest.len() == DATE_AND_END)?;
    let date = date.strip_suffix(b"\r\n\r\n").and_then(|date| std::str::from_utf8(date).ok())?;
    Some((refusal, date))
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

impl<I: Write + Unpin, F: Fn(&Refusal) + Unpin> Write for Explained<I, F> {
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
