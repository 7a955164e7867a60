//! `floodgate apply`: makes the configuration what a file says, after showing what that changes.

mod difference;
mod file;
mod plan;
mod rollout;

use std::path::PathBuf;

use serde::Serialize;

use self::file::Wanted;
use self::plan::{Plan, Step};
use self::rollout::Rollout;
use crate::api::{Api, ApiArgs};
use crate::exit::Failure;
use crate::output;

/// What to apply, and how.
#[derive(clap::Args)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    api: ApiArgs,
    /// The file: `[sources.NAME]` and `[destinations.NAME]`, each as the admin API takes it
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
    /// Delete the sources and destinations that the file does not name
    #[arg(long)]
    prune: bool,
    /// Print one JSON document at the end instead of text along the way
    #[arg(long)]
    json: bool,
}

/// What was done, for `--json`.
#[derive(Serialize)]
struct Summary<'a> {
    dry_run: bool,
    changes: &'a [Step],
    /// The revision that holds all of it; none for a dry run.
    revision: Option<u64>,
    regions: &'a [Rollout],
}

/// Shows the difference, applies it, and waits until each region that can be reached serves it.
///
/// # Errors
/// If the file is wrong, the API refuses, or a region that can be reached does not serve it in time.
pub(crate) async fn run(args: ApplyArgs) -> Result<(), Failure> {
    let wanted = Wanted::read(&args.file).map_err(Failure::usage)?;
    let api = Api::new(args.api)?;
    let plan = Plan::make(&api, wanted, args.prune).await?;
    if !args.json {
        output::print(&plan.render())?;
    }
    if args.dry_run {
        return if args.json { print_json(&plan, None, &[]) } else { Ok(()) };
    }
    let revision = plan.apply(&api).await?;
    let regions = rollout::wait(&api, revision).await?;
    if args.json {
        print_json(&plan, Some(revision), &regions)?;
    } else {
        output::print(&rollout::render(revision, &regions))?;
    }
    match regions.iter().filter(|region| region.is_late()).count() {
        0 => Ok(()),
        late => Err(Failure::work(format!("{late} region(s) do not serve revision {revision} yet"))),
    }
}

fn print_json(plan: &Plan, revision: Option<u64>, regions: &[Rollout]) -> Result<(), Failure> {
    output::print_json(&Summary { dry_run: revision.is_none(), changes: plan.steps(), revision, regions })
}
