//! `floodgate handler build`.

mod c;
mod component;
mod fetched;
mod js;
mod python;
mod rust;
mod sections;
mod tool;
mod venv;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use floodgate_event::snapshot::Digest256;
use serde::Serialize;

use self::component::EncodeError;
use self::tool::ToolError;
use super::language::Language;
use super::project::Project;
use crate::exit::Failure;
use crate::output;

/// Where a handler that is not in Rust leaves its component, in its folder.
const COMPONENT: &str = "build/handler.wasm";

/// What to build.
#[derive(Args)]
pub(crate) struct BuildArgs {
    /// The handler's folder
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A component that was built.
pub(crate) struct Built {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What it is.
    pub(crate) component: Vec<u8>,
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

/// Builds a handler's component, after fetching what that needs and the folder lacks.
/// What the tools say goes to standard error.
///
/// # Errors
/// Names the tool that is missing and how to get it, or what failed.
pub(crate) fn build(project: &Project) -> Result<Built, BuildError> {
    let folder = project.folder();
    let path = match project.language() {
        Language::Rust => rust::build(folder)?,
        Language::Js => js::build(folder)?,
        Language::Python => python::build(folder)?,
        Language::C => c::build(folder)?,
    };
    let component = fs::read(&path).map_err(|source| BuildError::Read { path: path.clone(), source })?;
    Ok(Built { path, component })
}

/// Where the component is to be; its folder is made, and what an earlier build left is removed.
fn fresh_component(folder: &Path) -> Result<PathBuf, BuildError> {
    let path = folder.join(COMPONENT);
    let cleared = fs::create_dir_all(folder.join("build")).and_then(|()| match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    });
    cleared.map_err(|source| BuildError::Write { path: path.clone(), source })?;
    Ok(path)
}

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    #[error(transparent)]
    Tool(#[from] ToolError),
    #[error("{what} could not be fetched")]
    Fetch { what: &'static str, source: ToolError },
    #[error("the compiler lacks the target {0}; add it with `rustup target add {0}`")]
    NoTarget(&'static str),
    #[error("{} builds no component: its [lib] needs crate-type = [\"cdylib\"]", manifest.display())]
    NoComponent { manifest: PathBuf },
    #[error("{} has no C files", .0.display())]
    NoSources(PathBuf),
    #[error("the module that was compiled makes no component")]
    Encode(#[from] EncodeError),
    #[error("{} cannot be read", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} cannot be written", path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::NoComponent { .. } | BuildError::NoSources(_) => Self::usage(error),
            _ => Self::work(error),
        }
    }
}
