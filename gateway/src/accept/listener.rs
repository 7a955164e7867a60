//! The accept loop. It goes on whatever happens to a connection, and waits when the process runs out of file
//! descriptors.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use floodgate_event::LogRate;
use futures::FutureExt as _;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::tls::Offered;
use super::{Refusal, connection};
use crate::config::Limits;

/// How long to wait when accepting fails for lack of file descriptors or memory.
const OUT_OF_RESOURCES_WAIT: Duration = Duration::from_millis(100);

/// What answers requests.
pub(crate) trait Service: Send + Sync + 'static {
    /// Answers one.
    fn call(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Response<Full<Bytes>>> + Send;

    /// Told of a request that was refused for its head alone.
    fn refused(&self, refusal: &Refusal, peer: SocketAddr);
}

/// A port that is served.
pub(crate) struct Port<S> {
    /// Bound and listening.
    pub(crate) listener: TcpListener,
    /// What each connection is offered when it is accepted.
    pub(crate) tls: Offered,
    /// What answers.
    pub(crate) service: Arc<S>,
    /// Bounds of connections and requests.
    pub(crate) limits: Arc<Limits>,
    /// Open connections.
    pub(crate) open: prometheus::IntGauge,
}

impl<S: Service> Port<S> {
    /// Serves until `stop`, and then until every connection has had the answers it waits for.
    pub(crate) async fn serve(self, stop: CancellationToken) {
        let slots = Arc::new(Semaphore::new(self.limits.max_connections));
        let connections = TaskTracker::new();
        let failures = LogRate::new();
        while let Some(accepted) = stop.run_until_cancelled(self.next(&slots)).await {
            match accepted {
                Ok((stream, peer, slot)) => self.spawn(&connections, stream, peer, slot, &stop),
                Err(error) => pause_after(&error, &failures).await,
            }
        }
        // Those who had already connected when the listener closes would otherwise be reset.
        while let Some(Ok((stream, peer, slot))) = self.next(&slots).now_or_never() {
            self.spawn(&connections, stream, peer, slot, &stop);
        }
        drop(self);
        connections.close();
        connections.wait().await;
    }

    /// The slot comes first: a connection that is not accepted yet costs nothing here.
    async fn next(
        &self,
        slots: &Arc<Semaphore>,
    ) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, peer) = self.listener.accept().await?;
        Ok((stream, peer, slot))
    }

    fn spawn(
        &self,
        connections: &TaskTracker,
        stream: TcpStream,
        peer: SocketAddr,
        slot: OwnedSemaphorePermit,
        stop: &CancellationToken,
    ) {
        let open = Open::count(&self.open);
        let tls = self.tls.borrow().as_ref().map(|offer| TlsAcceptor::from(Arc::clone(&offer.config)));
        let service = Arc::clone(&self.service);
        let (limits, stop) = (Arc::clone(&self.limits), stop.clone());
        connections.spawn(async move {
            connection::serve(stream, peer, tls, service, &limits, stop).await;
            drop((open, slot));
        });
    }
}

async fn pause_after(error: &io::Error, failures: &LogRate) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    // These concern one connection that is already gone; all others are a lack of resources, which passes.
    if !matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
        if let Some(left_out) = failures.admit() {
            warn!(%error, left_out, "cannot accept connections, waiting");
        }
        tokio::time::sleep(OUT_OF_RESOURCES_WAIT).await;
    }
}

/// Counts an open connection for as long as it lives, also if its task panics.
struct Open(prometheus::IntGauge);

impl Open {
    fn count(gauge: &prometheus::IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
