//! `floodgate backup` and `floodgate restore`: the relay's crate does the work, this asks
//! for it and shows what it says.

mod progress;
mod show;

use std::path::PathBuf;

use floodgate_backup::{self as backup, BackupError, Deployment, Permits, Place};
use floodgate_event::Name;
use floodgate_relay::config::{self, Config};
use floodgate_stream::placement::Replicas;

use self::progress::Bar;
use crate::exit::Failure;
use crate::output;

/// What to save, and where to.
#[derive(clap::Args)]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    of: Of,
    /// The folder to make; only its owner can read it
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print the manifest
    #[arg(long)]
    json: bool,
}

/// What to put back, and what may go for it.
#[derive(clap::Args)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    of: Of,
    /// The backup's folder
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Delete the streams that are there before theirs is put back
    #[arg(long)]
    replace: bool,
    /// Delete them even if a region's hold events that the centre does not have: those are lost
    #[arg(long, requires = "replace")]
    discard_unreplicated: bool,
    /// Accept a region's backup that is older than the dedup window:
    /// what the centre had from it is delivered again
    #[arg(long)]
    deliver_again: bool,
    /// Restore a region although the centre does not answer, so that nobody sees whether a relay runs (stop
    /// them all), or what the centre has
    #[arg(long, requires = "region")]
    centre_is_away: bool,
    /// How many replicas the streams get, 1 or 3, if not what the configuration says,
    /// or else as many as they had
    #[arg(long, value_name = "N", value_parser = replicas)]
    replicas: Option<Replicas>,
    /// Print what came of it as JSON
    #[arg(long)]
    json: bool,
}

/// The place, and how to reach it.
#[derive(clap::Args)]
struct Of {
    /// The relay's configuration, for the connections to the centre and the regions
    #[arg(long, value_name = "FILE")]
    relay: PathBuf,
    /// The region; the centre if left out
    #[arg(long, value_name = "NAME")]
    region: Option<Name>,
}

impl Of {
    fn resolve(self) -> Result<(Deployment, Place), Failure> {
        let config = Config::load(&self.relay).map_err(Failure::usage)?;
        Ok((deployment(config), self.region.map_or(Place::Centre, Place::Region)))
    }
}

fn deployment(config: Config) -> Deployment {
    let region = |region: config::Region| backup::Region {
        name: region.name,
        nats: region.nats,
        replicas: region.replicas,
    };
    Deployment {
        nats: config.nats,
        replicas: config.centre.replicas,
        regions: config.regions.into_iter().map(region).collect(),
        shards: config.shards,
        lease: config.lease.length(),
        window_days: config.dedup.window_days,
    }
}

/// Saves a place.
pub(crate) async fn save(args: BackupArgs) -> Result<(), Failure> {
    let (deployment, place) = args.of.resolve()?;
    let mut bar = Bar::new();
    let saved = backup::backup(&deployment, &place, &args.out, &mut bar).await;
    bar.clear();
    let manifest = saved.map_err(failure)?;
    if args.json { output::print_json(&manifest) } else { output::print(&show::saved(&manifest, &args.out)) }
}

/// Puts a backup back, and says what that means.
pub(crate) async fn restore(args: RestoreArgs) -> Result<(), Failure> {
    let (deployment, place) = args.of.resolve()?;
    let permits = Permits {
        replace: args.replace,
        discard_unreplicated: args.discard_unreplicated,
        deliver_again: args.deliver_again,
        centre_is_away: args.centre_is_away,
        replicas: args.replicas,
    };
    let mut bar = Bar::new();
    let restored = backup::restore(&deployment, &place, &args.from, permits, &mut bar).await;
    bar.clear();
    let (manifest, outlook) = restored.map_err(failure)?;
    if args.json {
        output::print_json(&serde_json::json!({"restored": manifest, "outlook": outlook}))
    } else {
        output::print(&show::restored(&manifest, &outlook))
    }
}

fn replicas(text: &str) -> Result<Replicas, &'static str> {
    Replicas::try_from(text.parse::<u8>().unwrap_or(0))
}

/// What was asked for cannot be, or it did not work.
fn failure(error: BackupError) -> Failure {
    match error {
        BackupError::NoSuchRegion(_)
        | BackupError::Exists(_)
        | BackupError::AnotherPlace { .. }
        | BackupError::AnotherShape { .. } => Failure::usage(error),
        _ => Failure::work(error),
    }
}
