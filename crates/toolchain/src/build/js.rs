//! JavaScript: `npm run build` in the handler's folder, which runs componentize-js and may do more before.

use std::path::{Path, PathBuf};

use super::fetched::Dependencies;
use super::tool::NPM;
use super::{Error, Step, fresh_component};

/// The list of what to fetch.
const LIST: &str = "package-lock.json";
/// Where npm puts it.
const FOLDER: &str = "node_modules";

/// Builds the component with componentize-js, and returns its path.
pub(super) fn build(folder: &Path, progress: &mut dyn FnMut(Step)) -> Result<PathBuf, Error> {
    set_up(folder, progress)?;
    let component = fresh_component(folder)?;
    let mut npm = NPM.command(folder);
    npm.args(["run", "--silent", "build"]);
    NPM.run(npm)?;
    Ok(component)
}

/// Without install scripts: nothing that is fetched needs one.
fn set_up(folder: &Path, progress: &mut dyn FnMut(Step)) -> Result<(), Error> {
    let fetched = Dependencies::new(folder, LIST, FOLDER);
    if fetched.is_current() {
        return Ok(());
    }
    progress(Step::Fetch { list: LIST, registry: "the npm registry", into: FOLDER });
    let mut npm = NPM.command(folder);
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    NPM.run(npm).map_err(|error| error.fetching("what package-lock.json names"))?;
    fetched.mark().map_err(|source| Error::Write { path: fetched.path().to_owned(), source })
}
