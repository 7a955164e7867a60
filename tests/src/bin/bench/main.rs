//! `make bench`: how many signed events per second a gateway acknowledges from disk, beside a bare hyper
//! server that only checks the same signatures. Everything runs on this machine at the same time:
//! the load generator, and the server under test in a process of its own, with a real nats-server that syncs
//! every block. Rounds alternate, so that whatever else the machine does hits both alike.

mod backlog;
mod bare;
mod cpu;
mod handlers;
mod load;
mod region;
mod table;
mod times;

use std::process::ExitCode;
use std::time::Duration;

use floodgate_testkit::{Failure, Result};

use self::bare::Bare;
use self::load::{Load, Round};
use self::region::Region;
use self::table::Row;
use self::times::median;

/// Connections of the table's rows.
const CONNECTIONS: [usize; 2] = [64, 256];
/// Rounds of each server per row.
const ROUNDS: usize = 7;
/// Before the first round counts.
const WARM_UP: Duration = Duration::from_secs(1);
/// Of each round, if `FLOODGATE_BENCH_SECONDS` does not say otherwise.
const SECONDS: u64 = 2;

fn main() -> ExitCode {
    // What reads the gateway's metrics needs to know it, also for plain HTTP.
    // Fails only where it is done already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let work = || -> Result<()> {
        match std::env::args().nth(1).as_deref() {
            None => tokio::runtime::Runtime::new()?.block_on(run()),
            Some(bare::ARGUMENT) => tokio::runtime::Runtime::new()?.block_on(bare::serve()),
            Some(backlog::ARGUMENT) => tokio::runtime::Runtime::new()?.block_on(backlog::run()),
            Some(handlers::ARGUMENT) => tokio::runtime::Runtime::new()?.block_on(handlers::run()),
            Some(other) => Err(Failure::new(format!("unexpected argument `{other}`"))),
        }
    };
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let seconds = match std::env::var("FLOODGATE_BENCH_SECONDS") {
        Ok(text) => text.parse()?,
        Err(_) => SECONDS,
    };
    let length = Duration::from_secs(seconds);
    let bare = bare::start().await?;
    let region = Region::start().await?;
    table::head();
    for connections in CONNECTIONS {
        let row = compare(connections, length, &bare, &region).await?;
        table::print(&row);
    }
    region.report().await
}

async fn compare(connections: usize, length: Duration, bare: &Bare, region: &Region) -> Result<Row> {
    let load = Load::prepare(region::SOURCE, region::SECRET)?;
    let (yardstick, ours) = (bare.server(), region.server());
    load.run(&yardstick, connections, WARM_UP).await?;
    load.run(&ours, connections, WARM_UP).await?;
    let (mut bare, mut gateway) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(load.run(&yardstick, connections, length).await?);
        gateway.push(load.run(&ours, connections, length).await?);
    }
    Ok(Row { connections, bare: middle(bare)?, gateway: middle(gateway)? })
}

/// The round whose rate stands in the middle.
fn middle(rounds: Vec<Round>) -> Result<Round> {
    median(rounds, |a, b| a.per_second.total_cmp(&b.per_second))
}
