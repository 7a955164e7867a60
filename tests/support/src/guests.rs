//! Guests of the tests, built as a user builds a handler.

use std::fs;
use std::path::PathBuf;

use tokio::process::Command;

use crate::{Failure, Result, programs};

/// Builds the guest in `tests/guests/<name>`; answers with its component.
///
/// # Errors
/// If it does not build.
pub async fn build(name: &str) -> Result<Vec<u8>> {
    build_with(name, &[]).await
}

/// The same, with variables that choose what is built.
///
/// # Errors
/// If it does not build.
pub async fn build_with(name: &str, variables: &[(&str, &str)]) -> Result<Vec<u8>> {
    build_at(&format!("tests/guests/{name}"), variables).await
}

/// The same of any folder of this repository.
///
/// # Errors
/// If it does not build.
pub async fn build_at(name: &str, variables: &[(&str, &str)]) -> Result<Vec<u8>> {
    let folder = programs::root().join(name);
    let mut command = Command::new(programs::floodgate()?);
    let output =
        command.args(["handler", "build"]).arg(&folder).envs(variables.iter().copied()).output().await?;
    if !output.status.success() {
        return Err(Failure::new(format!("building {name}: {}", String::from_utf8_lossy(&output.stderr))));
    }
    // Its first line is the component's path.
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let path = said.lines().next().map(PathBuf::from);
    Ok(fs::read(path.ok_or_else(|| Failure::new("`handler build` printed no path"))?)?)
}
