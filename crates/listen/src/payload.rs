//! The body of an arriving request.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::activity::ActiveRequest;

/// The body of a request. It records how many bytes were taken from it, and when it has arrived whole.
#[derive(Debug)]
pub struct Payload {
    incoming: Incoming,
    active: Arc<ActiveRequest>,
}

impl Payload {
    pub(crate) fn new(incoming: Incoming, active: Arc<ActiveRequest>) -> Self {
        if incoming.is_end_stream() {
            active.arrived();
        }
        Self { incoming, active }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.incoming).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            self.active.took(frame.data_ref().map_or(0, Bytes::len));
        }
        let is_whole = matches!(frame, Poll::Ready(None)) || self.incoming.is_end_stream();
        if is_whole {
            self.active.arrived();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
