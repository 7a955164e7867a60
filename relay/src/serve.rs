//! The relay's two listeners: the admin API, and metrics.

use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A router on a bound address.
pub(crate) struct Listener {
    listener: TcpListener,
    router: Router,
}

impl Listener {
    /// Binds, so that a taken port is told before anything else begins.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub(crate) async fn bind(address: SocketAddr, router: Router) -> Result<Self, BindError> {
        let listener = TcpListener::bind(address).await.map_err(|error| BindError { address, error })?;
        Ok(Self { listener, router })
    }

    /// Serves until `shutdown`, then lets requests finish.
    pub(crate) async fn serve(self, shutdown: CancellationToken) {
        let served =
            axum::serve(self.listener, self.router).with_graceful_shutdown(shutdown.cancelled_owned());
        if let Err(error) = served.await {
            tracing::error!(%error, "a listener ended");
        }
    }
}

/// An address that cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    address: SocketAddr,
    #[source]
    error: std::io::Error,
}
