//! A nats-server of a test's own, and what is on the servers of a centre and of a region.

use std::time::Duration;

use async_nats::jetstream::{Context, kv, object_store};
use floodgate_event::subject;
use floodgate_testkit::nats::{self, Setup};
use floodgate_testkit::ports;

/// A running nats-server, killed when dropped.
pub(crate) struct Server(nats::Server);

pub(crate) fn free_port() -> u16 {
    let [port] = ports::free().unwrap();
    port
}

impl Server {
    /// One on this port, or on a free one.
    pub(crate) async fn start(port: Option<u16>) -> Self {
        // No test here is about a machine that loses power.
        let setup = Setup::default().syncs_every("2m");
        let setup = if let Some(port) = port { setup.on_port(port) } else { setup };
        Self(setup.start().unwrap())
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.port()
    }

    pub(crate) async fn context(&self) -> Context {
        connect(self.port()).await
    }
}

/// Connects as soon as there is a server.
pub(crate) async fn connect(port: u16) -> Context {
    let options = async_nats::ConnectOptions::new()
        .retry_on_initial_connect()
        .reconnect_delay_callback(|_| Duration::from_millis(50));
    async_nats::jetstream::new(options.connect(format!("127.0.0.1:{port}")).await.unwrap())
}

/// Makes the buckets of a centre and of a region.
pub(crate) async fn provision(context: &Context) {
    for bucket in [subject::CONTROL_BUCKET, subject::SNAPSHOT_BUCKET, subject::GATEWAYS_BUCKET] {
        let config = kv::Config { bucket: bucket.into(), history: 8, ..kv::Config::default() };
        while context.create_key_value(config.clone()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let config =
        object_store::Config { bucket: subject::HANDLERS_BUCKET.into(), ..object_store::Config::default() };
    context.create_object_store(config).await.unwrap();
}
