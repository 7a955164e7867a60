//! A connection to NATS that reconnects by itself.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, Event};
use tokio::sync::watch;

use crate::failover::Failover;
use crate::servers::{CurrentIdentity, Servers};

/// How often [`Connection::until_up`] checks for a connected server.
const CHECK_EVERY: Duration = Duration::from_millis(20);

/// A connection that retries without end, and fails over to another server if one goes away or is about to.
///
/// It uses only the servers that the configuration names. The addresses that a cluster advertises may not be
/// reachable from here. Clones share the connection. Once the last clone is dropped, the client no longer
/// leaves a server in lame duck mode.
#[derive(Clone, Debug)]
pub struct Connection {
    client: Client,
    servers: Servers,
    identity: CurrentIdentity,
    losses: watch::Receiver<u64>,
    /// The callback of events finds the client here. It must not keep the client alive.
    _place: Arc<OnceLock<Client>>,
}

/// The NATS client cannot be made. An unreachable server is no such error: the client retries.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the NATS server: {0}")]
pub struct ClientError(#[source] async_nats::ConnectError);

/// A change that a running connection cannot make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("other servers, or another way to say who connects, take a restart")]
pub struct NeedsRestart;

impl Connection {
    /// Starts connecting and returns at once. `configure` adds to the client's options. `observe` is called
    /// for each event of the client.
    ///
    /// # Errors
    /// If the client cannot be made.
    pub async fn start(
        servers: &Servers,
        configure: impl FnOnce(ConnectOptions) -> ConnectOptions,
        observe: impl Fn(&Event) + Send + Sync + 'static,
    ) -> Result<Self, ClientError> {
        let place = Arc::new(OnceLock::new());
        let found = Arc::downgrade(&place);
        let failover = Arc::new(Failover::default());
        let (lost, losses) = watch::channel(0);
        let has_others = servers.addresses().len() > 1;
        let identity = CurrentIdentity::new(servers.identity().clone());
        let options = configure(servers.options(identity.clone()))
            .retry_on_initial_connect()
            .ignore_discovered_servers()
            .reconnect_to_server_callback(move |pool, _| {
                let next = failover.next(&pool);
                async move { next }
            })
            .event_callback(move |event| {
                if matches!(event, Event::Disconnected | Event::Closed) {
                    lost.send_modify(|count| *count += 1);
                }
                observe(&event);
                let leave = has_others && matches!(event, Event::LameDuckMode);
                let client = leave.then(|| found.upgrade()).flatten();
                async move { leave_server(client.as_ref().and_then(|place| place.get())).await }
            });
        let client = options.connect(servers.addresses()).await.map_err(ClientError)?;
        let client = place.get_or_init(|| client).clone();
        Ok(Self { client, servers: servers.clone(), identity, losses, _place: place })
    }

    /// Checks that [`Self::set_identity`] can take the identity of `servers`.
    ///
    /// # Errors
    /// If the addresses or the authorities differ, or if only one of the two has an identity.
    pub fn check(&self, servers: &Servers) -> Result<(), NeedsRestart> {
        if self.servers.differ_in_identity_only(servers) { Ok(()) } else { Err(NeedsRestart) }
    }

    /// Uses the identity of `servers` from the next connection on. An open connection stays open until a
    /// server that no longer knows the old identity closes it. Returns true if the identity changed.
    pub fn set_identity(&self, servers: &Servers) -> bool {
        self.identity.set(servers.identity())
    }

    /// The client of async-nats, which reconnects by itself.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The servers that it was started with.
    pub fn servers(&self) -> &Servers {
        &self.servers
    }

    /// Returns true if a server is connected now.
    pub fn is_up(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Returns once a server is connected, which may be never.
    pub async fn until_up(&self) {
        while !self.is_up() {
            tokio::time::sleep(CHECK_EVERY).await;
        }
    }

    /// Returns true if another server may take over when this one goes away.
    pub fn has_others(&self) -> bool {
        self.servers.addresses().len() > 1
    }

    /// How often the connection was lost so far. A change means that requests under way get no answer.
    pub fn losses(&self) -> watch::Receiver<u64> {
        self.losses.clone()
    }
}

/// A server in lame duck mode has stopped its JetStream already, and closes its connections one by one.
async fn leave_server(client: Option<&Client>) {
    if let Some(client) = client {
        // Refused only if the client has ended.
        let _ = client.force_reconnect().await;
    }
}
