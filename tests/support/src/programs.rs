//! Where the programs are that the tests start.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::{Failure, Result};

/// Names the Python that has the packages of `make setup`, if not the one in `.tools/venv`.
const PYTHON_VARIABLE: &str = "FLOODGATE_TEST_PYTHON";

/// The root of the source tree.
pub fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// The `floodgate` command of the same build as this test.
/// Cargo tells tests of another package neither where it is nor builds it for them, so it is looked for
/// beside the running program and built where it is missing.
///
/// # Errors
/// If it is missing and cannot be built.
pub fn floodgate() -> Result<&'static Path> {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(found);
    }
    let program = profile_folder()?.join("floodgate");
    if !program.is_file() {
        eprintln!("building the floodgate command, which is not at {}", program.display());
        build(&program)?;
    }
    Ok(FOUND.get_or_init(|| program))
}

/// nats-server: `FLOODGATE_NATS_SERVER`, or what `make setup` put into `.tools`, or the one on `PATH`.
pub fn nats_server() -> PathBuf {
    let pinned = root().join(".tools/nats-server");
    match std::env::var_os("FLOODGATE_NATS_SERVER") {
        Some(named) => named.into(),
        None if pinned.is_file() => pinned,
        None => "nats-server".into(),
    }
}

/// The Python with the packages that the readers from outside need.
///
/// # Errors
/// If there is none.
pub fn python() -> Result<PathBuf> {
    let python = match std::env::var_os(PYTHON_VARIABLE) {
        Some(named) => PathBuf::from(named),
        None => root().join(".tools/venv/bin/python"),
    };
    if python.is_file() {
        return Ok(python);
    }
    Err(Failure::new(format!(
        "no Python at {}: run `make setup`, or set {PYTHON_VARIABLE}",
        python.display()
    )))
}

/// A program of this name on `PATH`, or in the Debian packages that `make setup` has unpacked.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .chain([debian().join("usr/bin")])
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

/// Where `make setup` has unpacked Debian packages.
pub fn debian() -> PathBuf {
    root().join(".tools/debian")
}

/// Node.js with the providers' libraries, and the program in `tests/node` that uses them.
///
/// # Errors
/// If there is no Node.js, or it lacks the libraries.
pub fn node() -> Result<(PathBuf, PathBuf)> {
    let folder = root().join("tests/node");
    match find("node") {
        None => Err(Failure::new("no Node.js, see make setup")),
        Some(_) if !folder.join("node_modules/.floodgate-lock").is_file() => {
            Err(Failure::new("no npm packages in tests/node, see make setup"))
        }
        Some(node) => Ok((node, folder.join("providers.mjs"))),
    }
}

/// `target/<profile>`: tests run from `deps` below it, binaries from itself.
fn profile_folder() -> Result<PathBuf> {
    let mut folder = std::env::current_exe()?;
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }
    Ok(folder)
}

fn build(program: &Path) -> Result<()> {
    let debug = program.parent().is_some_and(|folder| folder.ends_with("debug"));
    let profile = if debug { "dev" } else { "release" };
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--profile", profile, "--package", "floodgate"])
        .current_dir(root())
        .status()?;
    if status.success() && program.is_file() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "`cargo build --profile {profile} -p floodgate` did not make {}",
        program.display()
    )))
}
