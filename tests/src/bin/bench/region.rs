//! A region in a temporary folder: nats-server, the streams and the snapshot that a relay would have put
//! there, and a gateway, each a process of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use async_nats::jetstream::{Context, kv, object_store};
use floodgate_event::seal::{OpeningKey, Owner};
use floodgate_event::snapshot::{SealedSecret, Snapshot, Source};
use floodgate_event::source::Dedup;
use floodgate_event::{Secret, ShardCount, subject};
use floodgate_stream::Contract;
use floodgate_testkit::{Failure, Result, nats, ports, programs, wait};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::load::Server;

/// The source that events are sent to.
pub(crate) const SOURCE: &str = "bench";
/// Its secret.
pub(crate) const SECRET: &str = "what the bench signs with";
/// How long a process may take to start.
const START: Duration = Duration::from_secs(20);

/// A running region.
pub(crate) struct Region {
    address: SocketAddr,
    metrics: SocketAddr,
    // Dropped in this order: processes before the folder that they write to.
    gateway: Child,
    nats: nats::Server,
    _folder: TempDir,
}

impl Region {
    pub(crate) async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let [port, metrics_port] = ports::free()?;
        let nats = nats::Setup::default().start()?;
        let context = nats.context().await?;
        let key = OpeningKey::generate();
        provision(&context, &key).await?;
        let gateway = start_gateway(folder.path(), &key, [nats.port(), port, metrics_port])?;
        let region = Self {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            metrics: SocketAddr::from(([127, 0, 0, 1], metrics_port)),
            gateway,
            nats,
            _folder: folder,
        };
        wait::until("the gateway to be ready", START, async || region.ready().await).await?;
        Ok(region)
    }

    /// The gateway, and with it the server that does half of the work.
    pub(crate) fn server(&self) -> Server {
        let processes = [self.gateway.id(), self.nats.id()].into_iter().flatten().collect();
        Server { address: self.address, processes }
    }

    async fn ready(&self) -> Result<Option<()>> {
        let answer = reqwest::get(format!("http://{}/readyz", self.metrics)).await?;
        Ok(answer.status().is_success().then_some(()))
    }

    /// How large the blocks were.
    pub(crate) async fn report(&self) -> Result<()> {
        let text = reqwest::get(format!("http://{}/metrics", self.metrics)).await?.text().await?;
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|value| value.parse::<f64>().ok()).ok_or_else(|| Failure::new(format!("no {name}")))
        };
        let (blocks, events) = (value("floodgate_block_events_count")?, value("floodgate_block_events_sum")?);
        println!("\n{events:.0} events in {blocks:.0} blocks: {:.1} events per sync.", events / blocks);
        Ok(())
    }
}

async fn provision(context: &Context, key: &OpeningKey) -> Result<()> {
    for contract in Contract::regional() {
        context.create_stream(contract.config()).await?;
    }
    let bucket = |name: &str| kv::Config { bucket: name.to_owned(), ..kv::Config::default() };
    context.create_key_value(bucket(subject::GATEWAYS_BUCKET)).await?;
    let handlers = object_store::Config { bucket: subject::HANDLERS_BUCKET.to_owned(), ..Default::default() };
    context.create_object_store(handlers).await?;
    let snapshots = context.create_key_value(bucket(subject::SNAPSHOT_BUCKET)).await?;
    snapshots.put(subject::SNAPSHOT_KEY, snapshot(key)?.to_bytes()?.into()).await?;
    Ok(())
}

fn snapshot(key: &OpeningKey) -> Result<Snapshot> {
    let tenant = floodgate_event::source::default_tenant();
    let owner = Owner { tenant: &tenant, kind: "source", name: SOURCE, field: "secrets" };
    let secret = key.sealing_key().seal(&Secret::new(SECRET), owner)?;
    let mut intake: floodgate_event::source::Intake = serde_json::from_str("{}")?;
    intake.dedup = Dedup::Body;
    let source = Source {
        keys: std::collections::BTreeMap::new(),
        tenant: tenant.clone(),
        scheme: "github".parse()?,
        secrets: vec![SealedSecret { id: "sec_bench".to_owned(), secret }],
        tolerance_seconds: None,
        settings: Default::default(),
        handlers: Vec::new(),
        intake,
    };
    Ok(Snapshot {
        revision: 1,
        created_at_us: floodgate_event::time::unix_micros(std::time::SystemTime::now()),
        region: "bench".parse()?,
        shards: ShardCount::ONE,
        sources: [(SOURCE.parse()?, source)].into(),
        handlers: [].into(),
    })
}

fn start_gateway(folder: &Path, key: &OpeningKey, [nats, port, metrics]: [u16; 3]) -> Result<Child> {
    std::fs::write(folder.join("opening.key"), key.to_text().expose())?;
    let config = folder.join("gateway.toml");
    let text = format!(
        "region = \"bench\"\nlisten = \"127.0.0.1:{port}\"\nmetrics_listen = \"127.0.0.1:{metrics}\"\n\
         opening_key_file = \"opening.key\"\nplaintext = true\n[nats]\nurl = \"nats://127.0.0.1:{nats}\"\n"
    );
    std::fs::write(&config, text)?;
    let mut command = Command::new(programs::floodgate()?);
    command.arg("gateway").arg("--config").arg(&config).stdout(Stdio::null()).kill_on_drop(true);
    Ok(command.spawn()?)
}
