//! JavaScript: `npm run build` in the handler's folder, which runs componentize-js and may do more before.

use std::path::{Path, PathBuf};

use super::fetched::Fetched;
use super::tool::NPM;
use super::{BuildError, fresh_component};

/// Builds the component.
pub(super) fn build(folder: &Path) -> Result<PathBuf, BuildError> {
    set_up(folder)?;
    let component = fresh_component(folder)?;
    let mut npm = NPM.command(folder);
    npm.args(["run", "--silent", "build"]);
    NPM.run(npm)?;
    Ok(component)
}

/// Without install scripts: nothing that is fetched needs one.
fn set_up(folder: &Path) -> Result<(), BuildError> {
    let fetched = Fetched::new(folder, "package-lock.json", "node_modules");
    if fetched.is_current() {
        return Ok(());
    }
    eprintln!("fetching what package-lock.json names from the npm registry into node_modules");
    let mut npm = NPM.command(folder);
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    NPM.run(npm).map_err(|error| error.fetching("what package-lock.json names"))?;
    fetched.mark().map_err(|source| BuildError::Write { path: fetched.path().to_owned(), source })
}
