//! `floodgate backup` and `floodgate restore`: `floodgate-backup` does the work, and this shows how it went.

mod progress;
mod show;

use std::path::PathBuf;

use floodgate_backup::{self as backup, Deployment, Place, RestoreOptions};
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
    target: Target,
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
    target: Target,
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

/// The centre or a region, and how to reach it.
#[derive(clap::Args)]
struct Target {
    /// The relay's configuration, for the connections to the centre and the regions
    #[arg(long, value_name = "FILE")]
    relay: PathBuf,
    /// The region; the centre if left out
    #[arg(long, value_name = "NAME")]
    region: Option<Name>,
}

impl Target {
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

/// Saves the centre or a region into a folder.
pub(crate) async fn save(args: BackupArgs) -> Result<(), Failure> {
    let (deployment, place) = args.target.resolve()?;
    let mut bar = Bar::new();
    let saved = backup::backup(&deployment, &place, &args.out, &mut bar).await;
    bar.clear();
    let manifest = saved.map_err(failure)?;
    if args.json { output::print_json(&manifest) } else { output::print(&show::saved(&manifest, &args.out)) }
}

/// Puts a backup back, and says what that means.
pub(crate) async fn restore(args: RestoreArgs) -> Result<(), Failure> {
    let (deployment, place) = args.target.resolve()?;
    let options = RestoreOptions {
        replace: args.replace,
        discard_unreplicated: args.discard_unreplicated,
        deliver_again: args.deliver_again,
        centre_is_away: args.centre_is_away,
        replicas: args.replicas,
    };
    let mut bar = Bar::new();
    let restored = backup::restore(&deployment, &place, &args.from, options, &mut bar).await;
    bar.clear();
    let (manifest, report) = restored.map_err(failure)?;
    if args.json {
        output::print_json(&serde_json::json!({"restored": manifest, "outlook": report}))
    } else {
        output::print(&show::restored(&manifest, &report))
    }
}

fn replicas(text: &str) -> Result<Replicas, &'static str> {
    Replicas::try_from(text.parse::<u8>().unwrap_or(0))
}

/// What was asked for cannot be, or it did not work.
fn failure(error: backup::Error) -> Failure {
    match error {
        backup::Error::NoSuchRegion(_)
        | backup::Error::Exists(_)
        | backup::Error::WrongPlace { .. }
        | backup::Error::WrongShardCount { .. } => Failure::usage(error),
        _ => Failure::work(error),
    }
}
