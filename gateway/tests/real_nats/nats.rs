//! A nats-server with what the relay would make on it.

use std::time::Duration;

use async_nats::jetstream::{Context, kv, object_store, stream};
use floodgate_event::{Lane, subject};
use floodgate_testkit::nats::{Server, Setup};
use floodgate_testkit::ports;
use nix::sys::signal::Signal;

/// A running nats-server, killed when dropped.
pub(crate) struct Nats {
    pub(crate) port: u16,
    server: Server,
}

impl Nats {
    pub(crate) fn start() -> Self {
        let server = Setup::default().start().unwrap();
        Self { port: server.port(), server }
    }

    /// As `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.server.kill().unwrap();
    }

    pub(crate) fn restart(&mut self) {
        self.server.start().unwrap();
    }

    /// Makes it stop answering while its connections stay up.
    pub(crate) fn freeze(&self) {
        self.server.signal(Signal::SIGSTOP).unwrap();
    }

    pub(crate) fn thaw(&self) {
        self.server.signal(Signal::SIGCONT).unwrap();
    }

    pub(crate) async fn context(&self) -> Context {
        self.server.context().await.unwrap()
    }

    /// Makes what the relay would make.
    pub(crate) async fn provision(&self) {
        provision(&self.context().await, 1).await;
    }

    /// Messages in a lane's stream.
    pub(crate) async fn messages(&self, lane: Lane) -> u64 {
        let stream = self.context().await.get_stream(subject::regional_stream(lane)).await.unwrap();
        stream.get_info().await.unwrap().state.messages
    }
}

/// Makes what the relay would make, on so many servers.
pub(crate) async fn provision(context: &Context, replicas: usize) {
    for lane in Lane::ALL {
        let config = stream::Config { num_replicas: replicas, ..stream_config(lane) };
        context.create_stream(config).await.unwrap();
    }
    for bucket in [subject::SNAPSHOT_BUCKET, subject::GATEWAYS_BUCKET] {
        let config =
            kv::Config { bucket: bucket.to_owned(), num_replicas: replicas, ..kv::Config::default() };
        context.create_key_value(config).await.unwrap();
    }
    let bucket = subject::HANDLERS_BUCKET.to_owned();
    let config = object_store::Config { bucket, num_replicas: replicas, ..Default::default() };
    context.create_object_store(config).await.unwrap();
}

pub(crate) fn stream_config(lane: Lane) -> stream::Config {
    stream::Config {
        name: subject::regional_stream(lane).to_owned(),
        subjects: vec![subject::regional_wildcard(lane)],
        storage: stream::StorageType::File,
        discard: stream::DiscardPolicy::New,
        duplicate_window: Duration::from_secs(120),
        ..stream::Config::default()
    }
}

pub(crate) fn free_port() -> u16 {
    let [port] = ports::free().unwrap();
    port
}
