//! C: zig's compiler makes a core module, which is then made a component.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::tool::{command, run_fetched};
use super::{Error, Step, component, fresh_component, sections, venv};

/// For a module that is called, not run; with 64 KiB of stack, so that a fresh instance touches few pages.
const OPTIONS: [&str; 8] = [
    "-target",
    "wasm32-wasi",
    "-mexec-model=reactor",
    "-std=c17",
    "-O2",
    "-Wall",
    "-Wl,-z,stack-size=65536",
    "-Igen",
];

/// Builds the component of all C files in the folder and in `gen`.
pub(super) fn build(folder: &Path, progress: &mut dyn FnMut(Step)) -> Result<PathBuf, Error> {
    let programs = venv::set_up(folder, progress)?;
    let component = fresh_component(folder)?;
    let module = folder.join("build/core.wasm");
    let mut compiler = command(programs.join("python"), folder);
    compiler.args(["-m", "ziglang", "cc"]).args(OPTIONS).args(sources(folder)?).arg("-o").arg(&module);
    run_fetched(compiler)?;
    let module = fs::read(&module).map_err(|source| Error::Read { path: module, source })?;
    let encoded = component::encode(sections::without_debug(module), &folder.join("wit"))?;
    fs::write(&component, encoded).map_err(|source| Error::Write { path: component.clone(), source })?;
    Ok(component)
}

/// In the order of their names, so that the same files give the same component.
fn sources(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = c_files(folder)?;
    files.extend(c_files(&folder.join("gen"))?);
    if files.is_empty() { Err(Error::NoSources(folder.to_owned())) } else { Ok(files) }
}

fn c_files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let unreadable = |source| Error::Read { path: folder.to_owned(), source };
    let entries: io::Result<Vec<_>> = fs::read_dir(folder).map_err(unreadable)?.collect();
    let mut files: Vec<_> = entries.map_err(unreadable)?.iter().map(fs::DirEntry::path).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "c"));
    files.sort();
    Ok(files)
}
