//! A region: a nats-server, what the relay would have put there, and a gateway in this process.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use floodgate_event::report::GatewayReport;
use floodgate_event::seal::{OpeningKey, Owner};
use floodgate_event::snapshot::{SealedSecret, Snapshot, Source};
use floodgate_event::{Digest256, Secret, ShardCount, subject, time};
use floodgate_gateway::GatewayError;
use floodgate_gateway::config::Config;
use floodgate_sandbox::SwapDevices;
use floodgate_testkit::programs;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::nats::{Nats, free_port};

/// How often a gateway is started again whose port was taken.
const RESTARTS: usize = 10;

/// What sources sign with.
pub(crate) const SECRET: &str = "a secret";

/// A region that runs.
pub(crate) struct Region {
    pub(crate) nats: Nats,
    pub(crate) address: SocketAddr,
    /// The address of the metrics and of health.
    pub(crate) operations: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    /// Makes the gateway read its files again, as SIGHUP does.
    pub(crate) reload: mpsc::Sender<()>,
    key: OpeningKey,
    gateway: JoinHandle<Result<(), GatewayError>>,
    folder: TempDir,
}

impl Region {
    /// With a source `github` whose intake is this JSON; ready.
    pub(crate) async fn with_source(intake: &str) -> Self {
        Self::with_tables("", intake).await
    }

    /// The same with these tables in `gateway.toml`.
    pub(crate) async fn with_tables(tables: &str, intake: &str) -> Self {
        let region = Self::bare("plaintext = true", tables).await;
        region.nats.provision().await;
        region.configure(region.snapshot(1, intake)).await;
        region.until_ready().await;
        region
    }

    /// With nothing but processes. `head` and `tables` go into `gateway.toml`.
    pub(crate) async fn bare(head: &str, tables: &str) -> Self {
        Self::beside(SwapDevices::default(), head, tables).await
    }

    /// The same on a machine with these swap devices.
    pub(crate) async fn beside(swaps: SwapDevices, head: &str, tables: &str) -> Self {
        Self::changed(|config| config.swaps = swaps, head, tables).await
    }

    /// The same with changes that the file cannot make.
    pub(crate) async fn changed(change: impl FnOnce(&mut Config), head: &str, tables: &str) -> Self {
        let (nats, folder, key) = (Nats::start(), tempfile::tempdir().unwrap(), OpeningKey::generate());
        let (port, metrics) = (free_port(), free_port());
        std::fs::write(folder.path().join("key"), key.to_text().expose()).unwrap();
        let config = format!(
            "region = \"eu\"\nlisten = \"127.0.0.1:{port}\"\nmetrics_listen = \"127.0.0.1:{metrics}\"\n\
             gateway = \"eu-1\"\nopening_key_file = \"key\"\n{head}\n[nats]\nurl = \"nats://127.0.0.1:{}\"\n{tables}\n",
            nats.port
        );
        std::fs::write(folder.path().join("gateway.toml"), config).unwrap();
        let shutdown = CancellationToken::new();
        let (reload, told) = mpsc::channel(1);
        let gateway = start_with(folder.path(), &shutdown, |config| {
            config.reload = Some(told);
            change(config);
        });
        let [address, operations] = [port, metrics].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        Self { nats, address, operations, shutdown, reload, key, gateway, folder }
    }

    /// Stops the gateway and starts it again with the same files.
    pub(crate) async fn restart(self) -> Self {
        self.shutdown.cancel();
        self.gateway.await.unwrap().unwrap();
        for _ in 0..RESTARTS {
            let shutdown = CancellationToken::new();
            let gateway = start(self.folder.path(), &shutdown);
            while !gateway.is_finished() {
                if TcpStream::connect(self.address).await.is_ok() {
                    return Self { shutdown, gateway, ..self };
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            // While nobody listened, its port may have become that of another test's connection.
            println!("started again: {:?}", gateway.await.unwrap());
        }
        panic!("the gateway did not start again on {}", self.address);
    }

    /// Where the gateway's files are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// What the gateway's metrics say, as text.
    pub(crate) async fn metrics(&self) -> String {
        let mut client = Client::connect(self.operations).await;
        client.send(http::Request::get("/metrics").body(bytes::Bytes::new()).unwrap()).await.body
    }

    pub(crate) fn snapshot(&self, revision: u64, intake: &str) -> Snapshot {
        snapshot(&self.key, revision, intake)
    }

    /// A source of this name, without anything special.
    pub(crate) fn source(&self, name: &str) -> Source {
        self.source_with(name, "{}")
    }

    /// A source of this name, whose intake is this JSON.
    pub(crate) fn source_with(&self, name: &str, intake: &str) -> Source {
        source(&self.key, name, intake)
    }

    /// A source of this name for own applications with these tokens, and with this JSON as its intake.
    pub(crate) fn application(&self, name: &str, tokens: &[&str], intake: &str) -> Source {
        Source {
            scheme: "token".parse().unwrap(),
            secrets: tokens.iter().map(|token| sealed(&self.key, name, token)).collect(),
            ..source(&self.key, name, intake)
        }
    }

    pub(crate) async fn configure(&self, snapshot: Snapshot) {
        let bucket = self.nats.context().await.get_key_value(subject::SNAPSHOT_BUCKET).await.unwrap();
        bucket.put(subject::SNAPSHOT_KEY, snapshot.to_bytes().unwrap().into()).await.unwrap();
    }

    /// What the gateway says of itself.
    pub(crate) async fn report(&self) -> Option<GatewayReport> {
        let bucket = self.nats.context().await.get_key_value(subject::GATEWAYS_BUCKET).await.unwrap();
        bucket.get("eu-1").await.unwrap().map(|text| serde_json::from_slice(&text).unwrap())
    }

    pub(crate) async fn until_ready(&self) {
        until("the gateway is ready", async || self.client().await.get("/readyz").await == 200).await;
    }

    /// Gives what `run` returned, once it has by itself.
    pub(crate) async fn ended(self) -> Result<(), GatewayError> {
        self.gateway.await.unwrap()
    }

    /// Shuts the gateway down and gives what `run` returned.
    pub(crate) async fn stop(self) -> Result<(), GatewayError> {
        self.shutdown.cancel();
        self.gateway.await.unwrap()
    }
}

/// A snapshot with a source `github` whose intake is this JSON.
pub(crate) fn snapshot(key: &OpeningKey, revision: u64, intake: &str) -> Snapshot {
    Snapshot {
        revision,
        created_at_us: time::unix_micros(SystemTime::now()),
        region: "eu".parse().unwrap(),
        shards: ShardCount::ONE,
        sources: [("github".parse().unwrap(), source(key, "github", intake))].into(),
        handlers: [].into(),
    }
}

fn source(key: &OpeningKey, name: &str, intake: &str) -> Source {
    Source {
        keys: std::collections::BTreeMap::new(),
        tenant: floodgate_event::source::default_tenant(),
        scheme: "github".parse().unwrap(),
        secrets: vec![SealedSecret { id: "sec_1".to_owned(), ..sealed(key, name, SECRET) }],
        tolerance_seconds: None,
        settings: Default::default(),
        handlers: Vec::new(),
        intake: serde_json::from_str(intake).unwrap(),
    }
}

/// A secret of a source of this name. Its id says nothing of other secrets.
fn sealed(key: &OpeningKey, name: &str, secret: &str) -> SealedSecret {
    let tenant = floodgate_event::source::default_tenant();
    let owner = Owner { tenant: &tenant, kind: "source", name, field: "secrets" };
    let id = format!("sec_{}", &Digest256::of(secret.as_bytes()).to_string()[..8]);
    SealedSecret { id, secret: key.sealing_key().seal(&Secret::new(secret), owner).unwrap() }
}

/// As the command `floodgate gateway` does.
pub(crate) fn start(folder: &Path, shutdown: &CancellationToken) -> JoinHandle<Result<(), GatewayError>> {
    start_with(folder, shutdown, |_| {})
}

fn start_with(
    folder: &Path,
    shutdown: &CancellationToken,
    change: impl FnOnce(&mut Config),
) -> JoinHandle<Result<(), GatewayError>> {
    let mut config = Config::load(&folder.join("gateway.toml")).unwrap();
    if let Ok(program) = programs::floodgate() {
        config.compile_command = vec![program.into(), "handler".into(), "compile".into()];
    }
    change(&mut config);
    tokio::spawn(floodgate_gateway::run(config, shutdown.clone()))
}

/// Waits for something that must come about; the limit only ends a test that has failed.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..2_400 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited in vain until {what}");
}
