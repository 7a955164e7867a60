//! `floodgate handler build`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use clap::Args;
use floodgate_event::snapshot::Digest256;
use serde::{Deserialize, Serialize};

use crate::exit::Failure;
use crate::output;

const TARGET: &str = "wasm32-wasip2";

/// What to build.
#[derive(Args)]
pub(crate) struct BuildArgs {
    /// The handler's folder, with its Cargo.toml
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
    let Built { path, component } = build(&args.path)?;
    let report = Report { path: &path, size: component.len(), digest: Digest256::of(&component) };
    if args.json {
        return output::print_json(&report);
    }
    output::print(&format!("{}\n{} bytes, sha256 {}\n", path.display(), report.size, report.digest))
}

/// Builds the component of the package in `folder`.
pub(crate) fn build(folder: &Path) -> Result<Built, BuildError> {
    let manifest = folder.join("Cargo.toml");
    let manifest = manifest.canonicalize().map_err(|source| BuildError::NoManifest { manifest, source })?;
    require_target(folder)?;
    let path = component_of(&manifest, &cargo_build(folder)?)?;
    let component = fs::read(&path).map_err(|source| BuildError::Read { path: path.clone(), source })?;
    Ok(Built { path, component })
}

/// Asks the compiler that this folder uses, which a toolchain file may choose.
fn require_target(folder: &Path) -> Result<(), BuildError> {
    let asked =
        tool("rustc").args(["--print", "target-libdir", "--target", TARGET]).current_dir(folder).output();
    let answer = asked.map_err(|source| BuildError::Tool { tool: "rustc", source })?;
    let library = String::from_utf8_lossy(&answer.stdout);
    if answer.status.success() && Path::new(library.trim()).is_dir() {
        Ok(())
    } else {
        Err(BuildError::NoTarget)
    }
}

/// Runs cargo in the handler's folder, where its linker settings apply; what it says goes to the terminal.
fn cargo_build(folder: &Path) -> Result<Vec<u8>, BuildError> {
    let output = tool("cargo")
        .args(["build", "--release", "--target", TARGET, "--message-format=json-render-diagnostics"])
        .current_dir(folder)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| BuildError::Tool { tool: "cargo", source })?;
    if output.status.success() { Ok(output.stdout) } else { Err(BuildError::Failed(output.status)) }
}

/// Build scripts are strangers' code: they don't get the token.
fn tool(name: &str) -> Command {
    let mut command = Command::new(name);
    command.stdin(Stdio::null()).env_remove("FLOODGATE_TOKEN");
    command
}

/// A line of cargo's report; those of other kinds lack these fields.
#[derive(Deserialize)]
struct Artifact {
    manifest_path: PathBuf,
    filenames: Vec<PathBuf>,
}

fn component_of(manifest: &Path, report: &[u8]) -> Result<PathBuf, BuildError> {
    let artifacts = report.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let mut components = artifacts
        .filter(|artifact: &Artifact| artifact.manifest_path == manifest)
        .flat_map(|artifact| artifact.filenames)
        .filter(|file| file.extension().is_some_and(|extension| extension == "wasm"));
    components.next().ok_or_else(|| BuildError::NoComponent { manifest: manifest.to_owned() })
}

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    #[error("{manifest}: no handler there")]
    NoManifest { manifest: PathBuf, source: io::Error },
    #[error("{tool} does not run; install Rust from https://rustup.rs")]
    Tool { tool: &'static str, source: io::Error },
    #[error("the compiler lacks the target {TARGET}; add it with `rustup target add {TARGET}`")]
    NoTarget,
    #[error("cargo build failed ({0})")]
    Failed(ExitStatus),
    #[error("{manifest} builds no component: its [lib] needs crate-type = [\"cdylib\"]")]
    NoComponent { manifest: PathBuf },
    #[error("{path} cannot be read")]
    Read { path: PathBuf, source: io::Error },
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::NoManifest { .. } | BuildError::NoComponent { .. } => Self::usage(error),
            _ => Self::work(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_s_own_component_is_found_in_cargo_s_report() {
        let report = concat!(
            r#"{"reason":"compiler-artifact","manifest_path":"/h/sdk/Cargo.toml","filenames":["/t/libsdk.rlib"]}"#,
            "\n",
            r#"{"reason":"compiler-artifact","manifest_path":"/h/Cargo.toml","filenames":["/t/h.wasm"]}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
            "\n"
        );
        let found = component_of(Path::new("/h/Cargo.toml"), report.as_bytes()).unwrap();
        assert_eq!(found, Path::new("/t/h.wasm"));
        assert!(component_of(Path::new("/h/sdk/Cargo.toml"), report.as_bytes()).is_err());
    }
}
