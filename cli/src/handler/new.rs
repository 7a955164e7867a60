//! `floodgate handler new`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use floodgate_event::Name;

use crate::exit::Failure;
use crate::output;

/// The template's files, with `NAME` and `SDK` to fill in.
const FILES: [(&str, &str); 5] = [
    ("Cargo.toml", include_str!("template/Cargo.toml.txt")),
    (".cargo/config.toml", include_str!("template/config.toml.txt")),
    (".gitignore", "/target\n"),
    ("src/lib.rs", include_str!("template/lib.rs.txt")),
    ("fixtures/push-passes.json", include_str!("template/push-passes.json")),
];

/// What to begin.
#[derive(Args)]
pub(crate) struct NewArgs {
    /// The handler's name; a folder of this name is made
    name: Name,
    /// The folder of the crate floodgate-sdk; its public repository if left out
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

pub(crate) fn run(args: &NewArgs) -> Result<(), Failure> {
    let folder = Path::new(args.name.as_str());
    if folder.exists() {
        return Err(Failure::usage(format!("{} exists", folder.display())));
    }
    let sdk = dependency(args.sdk.as_deref())?;
    for (path, template) in FILES {
        let text = template.replace("NAME", &args.name).replace("SDK", &sdk);
        write(&folder.join(path), &text).map_err(Failure::work)?;
    }
    output::print(&format!("{0}: build it with `floodgate handler build {0}`\n", folder.display()))
}

fn dependency(sdk: Option<&Path>) -> Result<String, Failure> {
    let Some(folder) = sdk else {
        return Ok(format!("git = {:?}", env!("CARGO_PKG_REPOSITORY")));
    };
    let missing = |error: io::Error| Failure::usage(format!("{}: {error}", folder.display()));
    let folder = folder.join("Cargo.toml").canonicalize().map_err(missing)?;
    // A file's path has a parent. A Rust string literal is one of TOML too, but for escapes that paths don't need.
    Ok(format!("path = {:?}", folder.parent().unwrap_or(&folder)))
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}
