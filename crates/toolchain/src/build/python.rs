//! Python: componentize-py loads the module `app` and makes a component of CPython with it inside.

use std::path::{Path, PathBuf};

use super::tool::{command, run_fetched};
use super::{Error, Step, fresh_component, venv};

/// Runs componentize-py. Its own script names its interpreter by a path that ends with a move of the folder.
const COMPONENTIZE: &str = "import sys; from componentize_py import script; sys.exit(script())";

/// Builds the component with componentize-py, and returns its path.
pub(super) fn build(folder: &Path, progress: &mut dyn FnMut(Step)) -> Result<PathBuf, Error> {
    let programs = venv::set_up(folder, progress)?;
    let component = fresh_component(folder)?;
    let mut componentize = command(programs.join("python"), folder);
    componentize.args(["-c", COMPONENTIZE]);
    componentize.args([
        "--quiet",
        "--wit-path",
        "wit",
        "--world",
        "guest",
        "componentize",
        "app",
        "--output",
    ]);
    // Where it looks for other packages that `requirements.txt` names.
    componentize.arg(&component).env("VIRTUAL_ENV", folder.join(".venv"));
    run_fetched(componentize)?;
    Ok(component)
}
