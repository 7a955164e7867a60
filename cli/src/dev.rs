//! `floodgate dev`: a whole deployment on this machine, each part a process of its own.

use std::path::{Path, PathBuf};

use clap::builder::TypedValueParser as _;
use floodgate_devkit::{DEFAULT_PORT_BASE, Deployment, Options, Ready};
use floodgate_event::{Name, ShardCount};
use tokio_util::sync::CancellationToken;

use crate::exit::Failure;
use crate::table::Table;
use crate::{output, shutdown};

/// What `floodgate dev` is asked for.
#[derive(clap::Args)]
pub(crate) struct DevArgs {
    /// The regions, separated by commas; at most 9
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "eu,us")]
    regions: Vec<Name>,
    /// How many shards the centre has, at the first run in DIR [default: 1]; later runs keep to it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64).try_map(ShardCount::try_from))]
    shards: Option<ShardCount>,
    /// Where keys, configuration, streams and logs are kept between runs; nobody
    /// else may be able to change it
    #[arg(long, value_name = "DIR", default_value = ".floodgate/dev")]
    dir: PathBuf,
    /// The first port: the admin API's. 0 chooses free ports and keeps to them
    ///
    /// For base B and region number i, from 0: admin API B, relay metrics B+1, centre NATS B+2, region NATS
    /// B+21+i, gateway metrics B+31+i, gateway B+41+i.
    #[arg(long, value_name = "PORT", default_value_t = DEFAULT_PORT_BASE)]
    port_base: u16,
    /// Take webhooks over plain HTTP instead of TLS
    #[arg(long)]
    http: bool,
    /// Where to write how to reach everything, once all of it is ready [default: ready.json in DIR]
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

/// Runs a deployment until SIGTERM or SIGINT.
pub(crate) fn run(args: DevArgs) -> Result<(), Failure> {
    // One thread, the main one, starts every part:
    // the kernel ends a part when the thread that started it ends.
    output::block_on(async {
        let shutdown = shutdown::on_signal_or_hangup().map_err(Failure::work)?;
        serve(args, shutdown).await
    })
}

async fn serve(args: DevArgs, shutdown: CancellationToken) -> Result<(), Failure> {
    let DevArgs { regions, shards, dir, port_base, http, ready_file } = args;
    let options = Options { regions, shards, folder: dir, port_base, tls: !http, ready_file };
    let mut deployment = Deployment::prepare(options)?;
    let result = attend(&mut deployment, &shutdown).await;
    deployment.stop().await;
    result
}

/// Runs from the start of the first process until something ends the deployment.
async fn attend(deployment: &mut Deployment, shutdown: &CancellationToken) -> Result<(), Failure> {
    tokio::select! {
        started = deployment.start() => started?,
        () = shutdown.cancelled() => return Ok(()),
    }
    output::print(&summary(deployment.ready(), deployment.ready_file()))?;
    loop {
        tokio::select! {
            restarted = deployment.restarted() => restarted?,
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}

/// Describes a deployment for people.
fn summary(ready: &Ready, file: &Path) -> String {
    let mut table = Table::default();
    table.row(["admin", &ready.admin.url]);
    for (name, region) in &ready.regions {
        table.row([name.as_str(), &format!("{}/in/SOURCE", region.url)]);
    }
    if let Some(ca) = ready.regions.values().find_map(|region| region.ca.as_ref()) {
        table.row(["ca", &ca.display().to_string()]);
    }
    table.row(["ready", &file.display().to_string()]);
    table.render()
}

impl From<floodgate_devkit::Error> for Failure {
    fn from(error: floodgate_devkit::Error) -> Self {
        let is_usage = error.is_usage();
        Self::either(error, is_usage)
    }
}
