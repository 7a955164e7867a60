//! The languages that handlers are written in.

use std::fmt;

use serde::Deserialize;

/// What a handler is written in, and so how it is built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Built with cargo, for wasm32-wasip2.
    #[default]
    Rust,
    /// Built with componentize-js, on StarlingMonkey.
    Js,
    /// Built with componentize-py, on CPython.
    Python,
    /// Built with zig's C compiler.
    C,
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rust => "Rust",
            Self::Js => "JavaScript",
            Self::Python => "Python",
            Self::C => "C",
        })
    }
}
