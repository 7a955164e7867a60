//! A nats-server on a free port of the loopback address, with a folder of its own.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use async_nats::jetstream::{self, Context, kv, object_store, stream};
use floodgate_event::{Lane, subject};
use floodgate_testkit::programs;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// A running nats-server, killed when dropped.
pub(crate) struct Nats {
    pub(crate) port: u16,
    folder: TempDir,
    child: Child,
}

impl Nats {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let config = format!(
            "listen: \"127.0.0.1:{port}\"\nmax_payload: 8388608\n\
             jetstream {{ store_dir: \"{}\", sync_interval: always }}\n",
            folder.path().join("store").display()
        );
        std::fs::write(folder.path().join("nats.conf"), config).unwrap();
        let child = spawn(folder.path());
        Self { port, folder, child }
    }

    /// As `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn restart(&mut self) {
        self.child = spawn(self.folder.path());
    }

    /// Makes it stop answering while its connections stay up.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    pub(crate) async fn context(&self) -> Context {
        for _ in 0..200 {
            if let Ok(client) = async_nats::connect(format!("127.0.0.1:{}", self.port)).await {
                let context = jetstream::new(client);
                if context.query_account().await.is_ok() {
                    return context;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("nats-server does not answer");
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

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn spawn(folder: &Path) -> Child {
    let program = programs::nats_server();
    let mut command = Command::new(&program);
    command.arg("--config").arg(folder.join("nats.conf")).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap_or_else(|error| panic!("{}: {error}; `make setup` gets it", program.display()))
}
