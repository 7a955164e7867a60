//! `floodgate gateway` and `floodgate relay`: one long-running part each.

use std::path::PathBuf;

use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::exit::Failure;
use crate::shutdown;

/// Where a part reads its configuration.
#[derive(clap::Args)]
pub(crate) struct ConfigFile {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Runs a region's gateway until a signal stops it and it has drained.
pub(crate) fn gateway(file: &ConfigFile) -> Result<(), Failure> {
    serve(async |shutdown, reload| {
        let mut config = floodgate_gateway::config::Config::load(&file.config).map_err(Failure::usage)?;
        let own_program = std::env::current_exe().map_err(Failure::work)?;
        config.compile_command = vec![own_program.into(), "handler".into(), "compile".into()];
        config.reload = Some(reload);
        floodgate_gateway::run(config, shutdown).await.map_err(Failure::work)
    })
}

/// Runs the relay until a signal stops it.
pub(crate) fn relay(file: &ConfigFile) -> Result<(), Failure> {
    serve(async |shutdown, reload| {
        let mut config = floodgate_relay::config::Config::load(&file.config).map_err(Failure::usage)?;
        config.reload = Some(reload);
        floodgate_relay::run(config, shutdown).await.map_err(|error| match error.is_of_configuration() {
            true => Failure::usage(error),
            false => Failure::work(error),
        })
    })
}

/// Signals come first: one that arrives while files are read must not end the process.
fn serve(
    part: impl AsyncFnOnce(CancellationToken, mpsc::Receiver<()>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let runtime = Builder::new_multi_thread().enable_all().build().map_err(Failure::work)?;
    runtime.block_on(async {
        let reload = shutdown::hangups().map_err(Failure::work)?;
        part(shutdown::on_signal().map_err(Failure::work)?, reload).await
    })
}
