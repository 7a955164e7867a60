//! `floodgate handler new`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use floodgate_event::Name;
use floodgate_toolchain::create::create;
use floodgate_toolchain::language::Language;

use crate::exit::Failure;
use crate::output;

/// Arguments of `floodgate handler new`.
#[derive(Args)]
pub(crate) struct NewArgs {
    /// The handler's name; a folder of this name is made
    name: Name,
    /// What to write it in
    #[arg(long, value_enum, default_value_t, hide_default_value = true)]
    lang: Lang,
    /// The folder of the Rust crate floodgate-sdk; a copy of this program's is written beside the handler if
    /// left out
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Lang {
    /// With cargo, for wasm32-wasip2
    #[default]
    Rust,
    /// With componentize-js, on StarlingMonkey
    Js,
    /// With componentize-py, on CPython
    Python,
    /// With zig's C compiler
    C,
}

impl From<Lang> for Language {
    fn from(lang: Lang) -> Self {
        match lang {
            Lang::Rust => Self::Rust,
            Lang::Js => Self::Js,
            Lang::Python => Self::Python,
            Lang::C => Self::C,
        }
    }
}

pub(crate) fn run(args: &NewArgs) -> Result<(), Failure> {
    let language = args.lang.into();
    create(&args.name, language, args.sdk.as_deref())?;
    output::print(&next_steps(&args.name, language))
}

fn next_steps(name: &Name, language: Language) -> String {
    format!(
        "{name}: a handler in {language}\n\
         floodgate handler push {name}         builds it, runs its fixtures, uploads it\n\
         floodgate apply -f {name}/bind.toml   puts it to work on a source of its own\n"
    )
}
