//! A connection that looks after itself.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, Event};

use crate::choice::Choice;
use crate::servers::{Current, Servers};

/// How often it is looked whether a server is connected.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A connection that is retried for ever, by another server if one goes or is about to.
/// Only the servers that the configuration names are used:
/// what a cluster says of itself may be addresses that cannot be reached from here.
/// Clones share it; with the last one it no longer leaves a server in lame duck mode.
#[derive(Clone, Debug)]
pub struct Link {
    client: Client,
    servers: Servers,
    identity: Current,
    /// What the events' callback, which must not keep the client alive, finds it by.
    _place: Arc<OnceLock<Client>>,
}

/// The client cannot be made. Being out of reach is no such error: it is retried.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the NATS server: {0}")]
pub struct LinkError(#[source] async_nats::ConnectError);

/// A change that a running connection cannot make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("other servers, or another way to say who connects, take a restart")]
pub struct NeedsRestart;

impl Link {
    /// Starts connecting and returns at once. `configure` adds to the client's options;
    /// `observe` hears of each event.
    ///
    /// # Errors
    /// If the client cannot be made.
    pub async fn start(
        servers: &Servers,
        configure: impl FnOnce(ConnectOptions) -> ConnectOptions,
        observe: impl Fn(&Event) + Send + Sync + 'static,
    ) -> Result<Self, LinkError> {
        let place = Arc::new(OnceLock::new());
        let found = Arc::downgrade(&place);
        let choice = Arc::new(Choice::default());
        let has_others = servers.addresses().len() > 1;
        let identity = Current::new(servers.identity().clone());
        let options = configure(servers.options(identity.clone()))
            .retry_on_initial_connect()
            .ignore_discovered_servers()
            .reconnect_to_server_callback(move |pool, _| {
                let next = choice.next(&pool);
                async move { next }
            })
            .event_callback(move |event| {
                observe(&event);
                let leave = has_others && matches!(event, Event::LameDuckMode);
                let client = leave.then(|| found.upgrade()).flatten();
                async move { move_on(client.as_ref().and_then(|place| place.get())).await }
            });
        let client = options.connect(servers.addresses()).await.map_err(LinkError)?;
        let client = place.get_or_init(|| client).clone();
        Ok(Self { client, servers: servers.clone(), identity, _place: place })
    }

    /// Whether [`Self::adopt`] can take these.
    ///
    /// # Errors
    /// If they are other servers, or nobody becomes somebody or the other way round.
    pub fn check(&self, servers: &Servers) -> Result<(), NeedsRestart> {
        if self.servers.differ_in_identity_only(servers) { Ok(()) } else { Err(NeedsRestart) }
    }

    /// Shows the identity of these from the next connection on; the one that is open goes on.
    /// A server that no longer knows the old one closes it. Returns whether it is another one.
    pub fn adopt(&self, servers: &Servers) -> bool {
        self.identity.set(servers.identity())
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Whether a server is connected now.
    pub fn is_up(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Returns once a server is connected, which may be never.
    pub async fn until_up(&self) {
        while !self.is_up() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Whether another server may take over when this one goes.
    pub fn has_others(&self) -> bool {
        self.servers.addresses().len() > 1
    }
}

/// A server in lame duck mode has stopped its JetStream already, and closes its connections one by one.
async fn move_on(client: Option<&Client>) {
    if let Some(client) = client {
        // Refused only if the client has ended.
        let _ = client.force_reconnect().await;
    }
}
