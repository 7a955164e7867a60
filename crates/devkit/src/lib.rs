//! `floodgate dev`: a whole deployment on this machine, each part a process of its own.
//!
//! Everything it needs is kept in one folder, so that a restart finds the same keys, ports and streams.

mod certificates;
mod credentials;
mod directory;
pub(crate) mod nats_server;
mod part;
mod ports;
mod probe;
mod ready;
mod regions;
mod shards;
mod site;
mod supervisor;

use std::path::PathBuf;

use floodgate_event::Name;
use tokio_util::sync::CancellationToken;

use crate::exit::Failure;
use crate::{output, shutdown};

use self::directory::Directory;
use self::part::Stage;
use self::probe::Prober;
use self::ready::ReadyFile;
use self::regions::Regions;
use self::site::Site;
use self::supervisor::Supervisor;

/// What `floodgate dev` is asked for.
#[derive(clap::Args)]
pub(crate) struct DevArgs {
    /// The regions, separated by commas; at most 9
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "eu,us")]
    regions: Vec<Name>,
    /// How many shards the centre has, at the first run in DIR [default: 1]; later runs keep to it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    shards: Option<u32>,
    /// Where keys, configuration, streams and logs are kept between runs; nobody
    /// else may be able to change it
    #[arg(long, value_name = "DIR", default_value = ".floodgate/dev")]
    dir: PathBuf,
    /// The first port: the admin API's. 0 chooses free ports and keeps to them
    ///
    /// For base B and region number i, from 0: admin API B, relay metrics B+1, centre NATS B+2, region NATS
    /// B+21+i, gateway metrics B+31+i, gateway B+41+i.
    #[arg(long, value_name = "PORT", default_value_t = ports::DEFAULT_BASE)]
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
    let regions = Regions::new(args.regions).map_err(Failure::usage)?;
    let nats_server = nats_server::find().map_err(Failure::work)?;
    let directory = Directory::open(&args.dir).map_err(Failure::work)?;
    let ready_file = args.ready_file.unwrap_or_else(|| directory.path("ready.json"));
    let ready_file = ReadyFile::new(ready_file).map_err(Failure::work)?;
    let shards = shards::choose(args.shards, &directory)?;
    let ports = ports::choose(args.port_base, &regions, &directory)?;
    let site = Site::prepare(directory, &regions, shards, ports, !args.http).map_err(Failure::work)?;
    let mut supervisor = Supervisor::new(site.parts(&nats_server).map_err(Failure::work)?);
    let result = attend(&site, &mut supervisor, &ready_file, &shutdown).await;
    ready_file.remove();
    supervisor.stop().await;
    result
}

/// From the first process to the moment that something ends the deployment.
async fn attend(
    site: &Site,
    supervisor: &mut Supervisor,
    ready_file: &ReadyFile,
    shutdown: &CancellationToken,
) -> Result<(), Failure> {
    tokio::select! {
        started = start(site, supervisor) => started?,
        () = shutdown.cancelled() => return Ok(()),
    }
    let ready = site.ready();
    ready_file.write(&ready, supervisor.processes()).map_err(Failure::work)?;
    output::print(&ready.summary(ready_file.path()))?;
    loop {
        tokio::select! {
            () = supervisor.restarted() => {}
            () = shutdown.cancelled() => return Ok(()),
        }
        ready_file.write(&ready, supervisor.processes()).map_err(Failure::work)?;
    }
}

/// Starts the parts in order, and waits until all are ready. A part that ends before that ends the start:
/// its log says why, and a loop of restarts would hide it.
async fn start(site: &Site, supervisor: &mut Supervisor) -> Result<(), Failure> {
    let prober = Prober::new(site.ca_file()).map_err(Failure::work)?;
    for stages in [&[Stage::Nats][..], &[Stage::Relay, Stage::Gateway]] {
        stages.iter().for_each(|&stage| supervisor.start(stage));
        tokio::select! {
            ready = prober.wait(site.probes(stages)) => ready.map_err(Failure::work)?,
            ended = supervisor.first_end() => return Err(Failure::work(ended)),
        }
    }
    Ok(())
}
