//! A Python environment in the handler's folder, with what its `requirements.txt` asks for.

use std::path::{Path, PathBuf};

use super::fetched::Dependencies;
use super::tool::{PYTHON, command, run_fetched};
use super::{Error, Step};

/// The list of what to fetch.
const LIST: &str = "requirements.txt";
/// The environment's folder, in the folder of the handler.
const FOLDER: &str = ".venv";

/// The environment's programs, after fetching what is missing.
pub(super) fn set_up(folder: &Path, progress: &mut dyn FnMut(Step)) -> Result<PathBuf, Error> {
    let programs = folder.join(FOLDER).join("bin");
    let fetched = Dependencies::new(folder, LIST, FOLDER);
    if fetched.is_current() {
        return Ok(programs);
    }
    progress(Step::Fetch { list: LIST, registry: "PyPI", into: FOLDER });
    let mut python = PYTHON.command(folder);
    python.args(["-m", "venv", "--clear", FOLDER]);
    PYTHON.run(python)?;
    let mut pip = command(programs.join("python"), folder);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]);
    pip.args(["--requirement", LIST]);
    run_fetched(pip).map_err(|error| error.fetching("what requirements.txt names"))?;
    fetched.mark().map_err(|source| Error::Write { path: fetched.path().to_owned(), source })?;
    Ok(programs)
}
