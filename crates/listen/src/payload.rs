//! A request's body on its way in.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::activity::Ongoing;

/// A request's body. Tells the connection what is taken from it, and when it is here whole.
#[derive(Debug)]
pub struct Payload {
    incoming: Incoming,
    ongoing: Arc<Ongoing>,
}

impl Payload {
    pub(crate) fn new(incoming: Incoming, ongoing: Arc<Ongoing>) -> Self {
        if incoming.is_end_stream() {
            ongoing.arrived();
        }
        Self { incoming, ongoing }
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
            self.ongoing.took(frame.data_ref().map_or(0, Bytes::len));
        }
        let is_whole = matches!(frame, Poll::Ready(None)) || self.incoming.is_end_stream();
        if is_whole {
            self.ongoing.arrived();
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
