//! The accept loop. It continues whatever happens to a connection, and waits if the process runs out of file
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
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::Service;
use crate::bounds::Bounds;
use crate::buffers::CONNECTION_BYTES;
use crate::connection::{self, Admitted, Shared, Tls};
use crate::ended::Ended;
use crate::memory::Budget;
use crate::places::Places;
use crate::proxies::Proxies;
use crate::watch::Stops;

/// How long to wait when accepting fails for lack of file descriptors or memory.
const OUT_OF_RESOURCES_WAIT: Duration = Duration::from_millis(100);

/// Binds and listens, with a backlog of `backlog` connections. The standard library's backlog of 128
/// overflows in a burst, and each connection that does not fit waits a second.
///
/// # Errors
/// If the address cannot be bound.
pub fn bind(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // As the standard library does. A restarted process need not wait for connections of its predecessor.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(backlog)
}

/// The metrics of a port.
#[derive(Debug, Clone)]
pub struct PortMetrics {
    /// How many connections are open.
    pub open: IntGauge,
    /// How many connections this side ended early, by `reason`.
    pub cut: IntCounterVec,
}

impl PortMetrics {
    /// Metrics that are not registered, for a port whose numbers nobody reads.
    ///
    /// # Errors
    /// Only if a name in this function is malformed.
    pub fn unregistered() -> prometheus::Result<Self> {
        let cut = IntCounterVec::new(Opts::new("unregistered_total", "Not registered."), &["reason"])?;
        Ok(Self { open: IntGauge::new("unregistered", "Not registered.")?, cut })
    }
}

/// A port and everything that serving it needs.
pub struct Port<S> {
    /// The listener, as [`bind`] returns it.
    pub listener: TcpListener,
    /// The TLS configuration of each connection. None for plain text.
    pub tls: Option<Tls>,
    /// The proxies in front of it. None by default.
    pub proxies: Proxies,
    /// The service that answers requests.
    pub service: Arc<S>,
    /// The bounds of connections and requests.
    pub bounds: Arc<Bounds>,
    /// The memory for connections and requests.
    pub budget: Budget,
    /// The metrics of this port.
    pub metrics: PortMetrics,
}

/// A connection and what it needs.
type Accepted = (TcpStream, SocketAddr, OwnedSemaphorePermit);

impl<S: Service> Port<S> {
    /// Serves until `stop`. Then it waits until every connection has its answers, or until `cut`.
    pub async fn serve(self, stop: CancellationToken, cut: CancellationToken) {
        let Self { listener, tls, proxies, service, bounds, budget, metrics } = self;
        let slots = Arc::new(Semaphore::new(bounds.connections));
        let connections = Connections {
            shared: Arc::new(Shared { places: Places::new(&bounds), tls, proxies, service, bounds, budget }),
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
        // The kernel would reset connections that are in the backlog when the listener closes.
        while let Some(Ok(accepted)) = next(&listener, &slots).now_or_never() {
            connections.open(accepted);
        }
        drop(listener);
        connections.tasks.close();
        connections.tasks.wait().await;
    }
}

/// Waits for a slot before it accepts, because a connection that is not accepted costs nothing.
async fn next(listener: &TcpListener, slots: &Arc<Semaphore>) -> io::Result<Accepted> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, slot))
}

async fn pause_after(error: &io::Error, failures: &LogRate) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    // These errors affect one connection that is gone already. All others are a lack of resources, which
    // passes.
    if !matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
        if let Some(left_out) = failures.admit() {
            warn!(%error, left_out, "cannot accept connections, waiting");
        }
        tokio::time::sleep(OUT_OF_RESOURCES_WAIT).await;
    }
}

struct Connections<S> {
    shared: Arc<Shared<S>>,
    metrics: PortMetrics,
    tasks: TaskTracker,
    stops: Stops,
}

impl<S: Service> Connections<S> {
    fn open(&self, (stream, peer, slot): Accepted) {
        match self.shared.admit(peer.ip(), CONNECTION_BYTES) {
            Ok(admitted) => self.spawn(stream, peer, slot, admitted),
            // The peer sees its connection closed, and tries again.
            Err(ended) => note(&*self.shared.service, &self.metrics, peer, &ended),
        }
    }

    fn spawn(&self, stream: TcpStream, peer: SocketAddr, slot: OwnedSemaphorePermit, admitted: Admitted) {
        let open = Open::count(&self.metrics.open);
        let (shared, stops, metrics) = (Arc::clone(&self.shared), self.stops.clone(), self.metrics.clone());
        self.tasks.spawn(async move {
            let mut sender = peer;
            if let Err(ended) = connection::serve(stream, &mut sender, admitted, &shared, stops).await {
                note(&*shared.service, &metrics, sender, &ended);
            }
            drop((open, slot));
        });
    }
}

fn note(service: &impl Service, metrics: &PortMetrics, peer: SocketAddr, ended: &Ended) {
    if let Some(reason) = ended.refusal() {
        service.connection_refused(peer, reason, ended);
    }
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
