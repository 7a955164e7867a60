//! Rust: what cargo builds for the target is a component already.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;

use super::Error;
use super::tool::{CARGO, RUSTC};

const TARGET: &str = "wasm32-wasip2";

/// Builds the component of the package in `folder`.
pub(super) fn build(folder: &Path) -> Result<PathBuf, Error> {
    require_target(folder)?;
    component_of(&folder.join("Cargo.toml"), &cargo_build(folder)?)
}

/// Asks the compiler that this folder uses, which a toolchain file may choose.
fn require_target(folder: &Path) -> Result<(), Error> {
    let asked = RUSTC.command(folder).args(["--print", "target-libdir", "--target", TARGET]).output();
    let answer = asked.map_err(|source| RUSTC.missing(source))?;
    let library = String::from_utf8_lossy(&answer.stdout);
    if answer.status.success() && Path::new(library.trim()).is_dir() {
        Ok(())
    } else {
        Err(Error::NoTarget(TARGET))
    }
}

/// Runs cargo in the handler's folder, where its linker settings apply; what it says goes to the terminal.
fn cargo_build(folder: &Path) -> Result<Vec<u8>, Error> {
    let output = CARGO
        .command(folder)
        .args(["build", "--release", "--target", TARGET, "--message-format=json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| CARGO.missing(source))?;
    if output.status.success() { Ok(output.stdout) } else { Err(CARGO.failed(output.status).into()) }
}

/// A line of cargo's report; those of other kinds lack these fields.
#[derive(Deserialize)]
struct Artifact {
    manifest_path: PathBuf,
    filenames: Vec<PathBuf>,
}

fn component_of(manifest: &Path, report: &[u8]) -> Result<PathBuf, Error> {
    let artifacts = report.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let mut components = artifacts
        .filter(|artifact: &Artifact| artifact.manifest_path == manifest)
        .flat_map(|artifact| artifact.filenames)
        .filter(|file| file.extension().is_some_and(|extension| extension == "wasm"));
    components.next().ok_or_else(|| Error::NoComponent { manifest: manifest.to_owned() })
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
