//! `floodgate handler new`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::Args;
use floodgate_event::{Name, Secret};

use super::language::Language;
use super::{sdk, template};
use crate::exit::Failure;
use crate::output;

/// Bytes of a new source's key.
const KEY_BYTES: usize = 32;

/// What to begin.
#[derive(Args)]
pub(crate) struct NewArgs {
    /// The handler's name; a folder of this name is made
    name: Name,
    /// What to write it in
    #[arg(long, value_enum, default_value_t, hide_default_value = true)]
    lang: Language,
    /// The folder of the Rust crate floodgate-sdk; a copy of this program's is written beside the handler if
    /// left out
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

pub(crate) fn run(args: &NewArgs) -> Result<(), Failure> {
    let folder = Path::new(args.name.as_str());
    if folder.exists() {
        return Err(Failure::usage(format!("{} exists", folder.display())));
    }
    if args.sdk.is_some() && args.lang != Language::Rust {
        return Err(Failure::usage("--sdk is for handlers in Rust"));
    }
    let dependency = dependency(args.sdk.as_deref())?;
    let copy = (args.lang == Language::Rust && args.sdk.is_none()).then(sdk::files);
    for (path, text) in template::files(args.lang).chain(copy.into_iter().flatten()) {
        let text = text.replace("{{name}}", &args.name).replace("{{sdk}}", &dependency);
        let text = text.replace("{{version}}", env!("CARGO_PKG_VERSION"));
        write(&folder.join(path), &text).map_err(Failure::work)?;
    }
    write_secret(&folder.join("source.secret"), &new_secret()).map_err(Failure::work)?;
    output::print(&next_steps(&args.name, args.lang))
}

fn next_steps(name: &Name, language: Language) -> String {
    format!(
        "{name}: a handler in {language}\n\
         floodgate handler push {name}         builds it, runs its fixtures, uploads it\n\
         floodgate apply -f {name}/bind.toml   puts it to work on a source of its own\n"
    )
}

fn dependency(sdk: Option<&Path>) -> Result<String, Failure> {
    let Some(folder) = sdk else {
        return Ok("path = \"sdk\"".to_owned());
    };
    let missing = |error: io::Error| Failure::usage(format!("{}: {error}", folder.display()));
    let folder = folder.join("Cargo.toml").canonicalize().map_err(missing)?;
    // A file's path has a parent. A Rust string literal is one of TOML too, but for
    // escapes that paths don't need.
    Ok(format!("path = {:?}", folder.parent().unwrap_or(&folder)))
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

/// A key as Standard Webhooks writes it.
fn new_secret() -> Secret {
    Secret::new(format!("whsec_{}", BASE64.encode(rand::random::<[u8; KEY_BYTES]>())))
}

/// For its owner alone.
fn write_secret(path: &Path, secret: &Secret) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{}", secret.expose())
}
