//! The accept loop. It goes on whatever happens to a connection, and waits when the process runs out of file
//! descriptors.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use floodgate_event::LogRate;
use futures::FutureExt as _;
use prometheus::{IntCounterVec, IntGauge, Opts};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::Service;
use crate::bounds::Bounds;
use crate::buffers::CONNECTION_BYTES;
use crate::connection::{self, Ended, Shared};
use crate::memory::{Budget, Reservation};
use crate::watch::Stops;

/// How long to wait when accepting fails for lack of file descriptors or memory.
const OUT_OF_RESOURCES_WAIT: Duration = Duration::from_millis(100);

/// Binds and listens, with room for `backlog` connections that wait to be accepted:
/// the standard library's 128 overflow in a burst, and each that is left out waits a second.
///
/// # Errors
/// If the address cannot be bound.
pub fn bind(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // As the standard library does: a restarted process need not wait for connections of the one before.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(backlog)
}

/// What a port offers to whoever connects now; None is plaintext.
pub type Tls = Arc<dyn Fn() -> Option<Arc<ServerConfig>> + Send + Sync>;

/// What a port counts.
#[derive(Debug, Clone)]
pub struct PortMetrics {
    /// Open connections.
    pub open: IntGauge,
    /// Connections that this side cut off, by `reason`.
    pub cut: IntCounterVec,
}

impl PortMetrics {
    /// Counts that nobody reads.
    ///
    /// # Errors
    /// If a name is malformed: a mistake in this file.
    pub fn unregistered() -> prometheus::Result<Self> {
        let cut = IntCounterVec::new(Opts::new("unregistered_total", "Not registered."), &["reason"])?;
        Ok(Self { open: IntGauge::new("unregistered", "Not registered.")?, cut })
    }
}

/// A port that is served.
pub struct Port<S> {
    /// Bound and listening.
    pub listener: TcpListener,
    /// Asked for each connection; None for plaintext.
    pub tls: Option<Tls>,
    /// What answers.
    pub service: Arc<S>,
    /// Bounds of connections and requests.
    pub bounds: Arc<Bounds>,
    /// The memory for them.
    pub budget: Budget,
    /// What is counted.
    pub metrics: PortMetrics,
}

/// A connection and what it needs.
type Accepted = (TcpStream, SocketAddr, OwnedSemaphorePermit);

impl<S: Service> Port<S> {
    /// Serves until `stop`, and then until every connection has had the answers it waits for, or until `cut`.
    pub async fn serve(self, stop: CancellationToken, cut: CancellationToken) {
        let Self { listener, tls, service, bounds, budget, metrics } = self;
        let slots = Arc::new(Semaphore::new(bounds.connections));
        let connections = Connections {
            shared: Arc::new(Shared { tls, service, bounds }),
            budget,
            metrics,
            tasks: TaskTracker::new(),
            stops: Stops { places: Arc::clone(&slots), stop: stop.clone(), cut },
        };
        let failures = LogRate::new();
        while let Some(accepted) = stop.run_until_cancelled(next(&listener, &slots)).await {
            match accepted {
                Ok(accepted) => connections.open(accepted),
                Err(error) => pause_after(&error, &failures).await,
            }
        }
        // Those who had already connected when the listener closes would otherwise be reset.
        while let Some(Ok(accepted)) = next(&listener, &slots).now_or_never() {
            connections.open(accepted);
        }
        drop(listener);
        connections.tasks.close();
        connections.tasks.wait().await;
    }
}

/// The slot comes first: a connection that is not accepted yet costs nothing here.
async fn next(listener: &TcpListener, slots: &Arc<Semaphore>) -> io::Result<Accepted> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, slot))
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

struct Connections<S> {
    shared: Arc<Shared<S>>,
    budget: Budget,
    metrics: PortMetrics,
    tasks: TaskTracker,
    stops: Stops,
}

impl<S: Service> Connections<S> {
    fn open(&self, (stream, peer, slot): Accepted) {
        match self.budget.account(peer.ip()).reserve(CONNECTION_BYTES) {
            Ok(memory) => self.spawn(stream, peer, slot, memory),
            // The peer sees its connection closed, and tries again.
            Err(_) => note(&self.metrics, peer, &Ended::Memory),
        }
    }

    fn spawn(&self, stream: TcpStream, peer: SocketAddr, slot: OwnedSemaphorePermit, memory: Reservation) {
        let open = Open::count(&self.metrics.open);
        let (shared, stops, metrics) = (Arc::clone(&self.shared), self.stops.clone(), self.metrics.clone());
        self.tasks.spawn(async move {
            if let Err(ended) = connection::serve(stream, peer, memory, &shared, stops).await {
                note(&metrics, peer, &ended);
            }
            drop((open, slot));
        });
    }
}

fn note(metrics: &PortMetrics, peer: SocketAddr, ended: &Ended) {
    if let Some(reason) = ended.reason() {
        metrics.cut.with_label_values(&[reason]).inc();
    }
    // Anyone can cause these at any rate, so they are counted, and only logged where asked for.
    debug!(%peer, reason = %ended, "connection ended early");
}

/// Counts an open connection for as long as it lives, also if its task panics.
struct Open(IntGauge);

impl Open {
    fn count(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
