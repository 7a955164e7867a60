//! `floodgate handler build`.

use std::path::{Path, PathBuf};

use clap::Args;
use floodgate_event::Digest256;
use floodgate_toolchain::build::{self, Built, Error, Step};
use floodgate_toolchain::project::Project;
use serde::Serialize;

use crate::exit::Failure;
use crate::output;

/// Arguments of `floodgate handler build`.
#[derive(Args)]
pub(crate) struct BuildArgs {
    /// The handler's folder
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    path: &'a Path,
    size: usize,
    digest: Digest256,
}

pub(crate) fn run(args: &BuildArgs) -> Result<(), Failure> {
    let Built { path, component } = build(&Project::open(&args.path)?)?;
    let report = Report { path: &path, size: component.len(), digest: Digest256::of(&component) };
    if args.json {
        return output::print_json(&report);
    }
    output::print(&format!("{}\n{} bytes, sha256 {}\n", path.display(), report.size, report.digest))
}

/// Builds a handler's component, and says on standard error what is fetched for it.
pub(super) fn build(project: &Project) -> Result<Built, Error> {
    build::build(project, &mut |step| {
        let Step::Fetch { list, registry, into } = step;
        eprintln!("fetching what {list} names from {registry} into {into}");
    })
}
