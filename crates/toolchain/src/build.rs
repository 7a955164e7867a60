//! Builds a handler's component: each language has its own tools, and all of them leave one file.

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

use crate::language::Language;
use crate::project::Project;

pub use self::component::EncodeError;
pub use self::tool::ToolError;

/// Where a handler that is not in Rust leaves its component, in its folder.
const COMPONENT: &str = "build/handler.wasm";

/// A component that was built.
pub struct Built {
    /// The file that the component is in.
    pub path: PathBuf,
    /// The bytes of the component.
    pub component: Vec<u8>,
}

/// A step of a build that takes long, reported before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// What a list names is fetched from a registry.
    Fetch {
        /// The list's file in the handler's folder.
        list: &'static str,
        /// The name of the registry, such as `PyPI`.
        registry: &'static str,
        /// The folder in the handler's folder that gets it.
        into: &'static str,
    },
}

/// Builds a handler's component. First fetches the dependencies that the folder lacks, and reports that to
/// `progress`. What the tools print goes to standard error.
///
/// # Errors
/// Names the tool that is missing and how to get it, or the tool that failed.
pub fn build(project: &Project, progress: &mut dyn FnMut(Step)) -> Result<Built, Error> {
    let folder = project.folder();
    let path = match project.language() {
        Language::Rust => rust::build(folder)?,
        Language::Js => js::build(folder, progress)?,
        Language::Python => python::build(folder, progress)?,
        Language::C => c::build(folder, progress)?,
    };
    let component = fs::read(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
    Ok(Built { path, component })
}

/// Where the component is to be; its folder is made, and what an earlier build left is removed.
fn fresh_component(folder: &Path) -> Result<PathBuf, Error> {
    let path = folder.join(COMPONENT);
    let cleared = fs::create_dir_all(folder.join("build")).and_then(|()| match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    });
    cleared.map_err(|source| Error::Write { path: path.clone(), source })?;
    Ok(path)
}

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tool is missing or failed.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// Dependencies could not be fetched.
    #[error("{what} could not be fetched")]
    Fetch {
        /// What was to be fetched.
        what: &'static str,
        /// How the tool failed.
        source: ToolError,
    },
    /// The Rust compiler cannot build for the target.
    #[error("the compiler lacks the target {0}; add it with `rustup target add {0}`")]
    NoTarget(&'static str),
    /// The Rust package builds no WebAssembly file.
    #[error("{} builds no component: its [lib] needs crate-type = [\"cdylib\"]", manifest.display())]
    NoComponent {
        /// The path of the package's `Cargo.toml`.
        manifest: PathBuf,
    },
    /// The folder of a handler in C has no C files.
    #[error("{} has no C files", .0.display())]
    NoSources(PathBuf),
    /// The compiled module is not a component's.
    #[error("the module that was compiled makes no component")]
    Encode(#[from] EncodeError),
    /// A file of the build cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The path of the file.
        path: PathBuf,
        /// Why the read failed.
        source: io::Error,
    },
    /// A file of the build cannot be written.
    #[error("{} cannot be written", path.display())]
    Write {
        /// The path of the file.
        path: PathBuf,
        /// Why the write failed.
        source: io::Error,
    },
}

impl Error {
    /// Returns true if the handler's folder is wrong, and false if the work failed.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::NoComponent { .. } | Self::NoSources(_))
    }
}
