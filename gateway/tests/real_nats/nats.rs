//! A nats-server with what the relay would make on it.

use async_nats::jetstream::{Context, kv, object_store, stream};
use floodgate_event::proto::{Block, Event};
use floodgate_event::{Lane, subject};
use floodgate_stream::Contract;
use floodgate_testkit::nats::{Server, Setup};
use floodgate_testkit::ports;
use nix::sys::signal::Signal;
use prost::Message as _;

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
        let id = self.server.id().unwrap();
        let state = || std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        // The signal reaches a thread that runs on another processor a moment later.
        while !state().rsplit(')').next().unwrap().trim_start().starts_with('T') {
            std::thread::yield_now();
        }
    }

    pub(crate) fn thaw(&self) {
        self.server.signal(Signal::SIGCONT).unwrap();
    }

    /// The events that a lane's stream holds, in order.
    pub(crate) async fn events(&self, lane: Lane) -> Vec<Event> {
        let name = Contract::lane(lane).config().name;
        let stream = self.context().await.get_stream(name).await.unwrap();
        let mut events = Vec::new();
        for sequence in stream.cached_info().state.first_sequence..=stream.cached_info().state.last_sequence {
            let message = stream.get_raw_message(sequence).await.unwrap();
            events.extend(Block::decode(message.payload).unwrap().events);
        }
        events
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
    Contract::lane(lane).config()
}

pub(crate) fn free_port() -> u16 {
    let [port] = ports::free().unwrap();
    port
}
