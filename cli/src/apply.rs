//! `floodgate apply`: makes the configuration what a file says, after showing what that changes.

mod difference;
mod file;
mod plan;

use std::path::PathBuf;

use serde::Serialize;

use self::file::File;
use self::plan::{Plan, Step};
use crate::api::ApiArgs;
use crate::exit::Failure;
use crate::output;
use crate::rollout::{self, Progress};

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

/// The result, for `--json`.
#[derive(Serialize)]
struct Summary<'a> {
    dry_run: bool,
    changes: &'a [Step],
    /// The revision that has all changes. None for a dry run.
    revision: Option<u64>,
    warnings: &'a [String],
    #[serde(flatten)]
    progress: Option<&'a Progress>,
}

/// Shows the difference, applies it, and waits until every shard routes by it and each region that can be
/// reached serves it.
///
/// # Errors
/// If the file is wrong, the API refuses, or it is not in force in time wherever it can be.
pub(crate) async fn run(args: ApplyArgs) -> Result<(), Failure> {
    let ApplyArgs { api, file, dry_run, prune, json } = args;
    let content = File::read(&file).map_err(Failure::usage)?;
    if prune && content.objects.is_empty() {
        return Err(Failure::usage(EmptyFile { file }));
    }
    let api = api.client()?;
    let plan = Plan::make(&api, content, prune).await?;
    if !json {
        output::print(&plan.render())?;
    }
    if dry_run {
        return finish(json, &plan, None, &plan.foreseen_warnings());
    }
    let revision = plan.apply(&api).await?;
    let progress = rollout::wait(&api, revision).await?;
    let warnings = plan.standing_warnings(&api).await?;
    finish(json, &plan, Some((revision, &progress)), &warnings)?;
    match progress.shortfall(revision, |source| plan.puts_source(source)) {
        None => Ok(()),
        Some(shortfall) => Err(Failure::work(shortfall)),
    }
}

/// An empty file would delete everything. More likely it is the wrong file, or was cut off.
#[derive(Debug, thiserror::Error)]
#[error("{} names nothing, and --prune would delete every source and destination: name one at least", file.display())]
struct EmptyFile {
    file: PathBuf,
}

fn finish(
    json: bool,
    plan: &Plan,
    done: Option<(u64, &Progress)>,
    warnings: &[String],
) -> Result<(), Failure> {
    if json {
        let (revision, progress) = done.unzip();
        let (dry_run, changes) = (done.is_none(), plan.steps());
        return output::print_json(&Summary { dry_run, changes, revision, warnings, progress });
    }
    for warning in warnings {
        eprintln!("warning: {}", output::lines(warning));
    }
    done.map_or(Ok(()), |(revision, progress)| output::print(&progress.render(revision)))
}
