//! A nats-server of a test's own: temporary folder, free port, loopback only.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use async_nats::jetstream::{Context, kv, object_store};
use floodgate_event::subject;
use floodgate_testkit::programs;
use tempfile::TempDir;

pub(crate) struct Server {
    process: Child,
    port: u16,
    _folder: TempDir,
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

impl Server {
    pub(crate) async fn start(port: Option<u16>) -> Self {
        let port = port.unwrap_or_else(free_port);
        let folder = TempDir::new().unwrap();
        let configuration = folder.path().join("nats.conf");
        let text = format!(
            "host: 127.0.0.1\nport: {port}\nmax_payload: 8MB\njetstream {{ store_dir: {:?} }}\n",
            folder.path()
        );
        std::fs::write(&configuration, text).unwrap();
        let process = Command::new(programs::nats_server())
            .arg("--config")
            .arg(configuration)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server: run `make setup`");
        Self { process, port, _folder: folder }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) async fn context(&self) -> Context {
        connect(self.port).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
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
