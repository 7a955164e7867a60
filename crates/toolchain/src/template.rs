//! The files that a handler begins with. `{{name}}` and `{{sdk}}` in them are filled in.

use crate::language::Language;

/// A file's path in the handler's folder, and what is in it.
pub(crate) type File = (&'static str, &'static str);

macro_rules! template {
    ($path:literal) => {
        include_str!(concat!("../templates/", $path))
    };
}

/// The files of a handler in any language.
const COMMON: [File; 5] = [
    ("bind.toml", template!("common/bind.toml")),
    ("fixtures/form-is-an-error.json", template!("common/fixtures/form-is-an-error.json")),
    ("fixtures/order-is-stamped.json", template!("common/fixtures/order-is-stamped.json")),
    ("fixtures/ping-is-dropped.json", template!("common/fixtures/ping-is-dropped.json")),
    ("fixtures/push-passes.json", template!("common/fixtures/push-passes.json")),
];

/// The contract, for languages without an SDK that has it.
pub(crate) const WIT: [File; 2] = [
    ("wit/guest.wit", template!("common/guest.wit")),
    ("wit/handler.wit", include_str!("../../../sdk/wit/handler.wit")),
];

const RUST: [File; 7] = [
    (".cargo/config.toml", template!("rust/config.toml.txt")),
    (".gitignore", "/target\n/source.secret\n"),
    ("Cargo.toml", template!("rust/Cargo.toml.txt")),
    ("README.md", template!("rust/README.md")),
    ("fixtures/odd-text-is-stamped.json", template!("rust/fixtures/odd-text-is-stamped.json")),
    ("handler.toml", template!("rust/handler.toml")),
    ("src/lib.rs", template!("rust/lib.rs.txt")),
];

const JS: [File; 9] = [
    (".gitignore", "/build\n/node_modules\n/source.secret\n"),
    ("README.md", template!("js/README.md")),
    ("entry.js", template!("js/entry.js")),
    ("fixtures/odd-text-is-stamped.json", template!("js/fixtures/odd-text-is-stamped.json")),
    ("floodgate.js", template!("js/floodgate.js")),
    ("handler.js", template!("js/handler.js")),
    ("handler.toml", template!("js/handler.toml")),
    ("package-lock.json", template!("js/package-lock.json")),
    ("package.json", template!("js/package.json")),
];

const PYTHON: [File; 8] = [
    (".gitignore", "/.venv\n/build\n/source.secret\n__pycache__\n"),
    ("README.md", template!("python/README.md")),
    ("app.py", template!("python/app.py")),
    ("fixtures/odd-text-is-stamped.json", template!("python/fixtures/odd-text-is-stamped.json")),
    ("floodgate.py", template!("python/floodgate.py")),
    ("handler.py", template!("python/handler.py")),
    ("handler.toml", template!("python/handler.toml")),
    ("requirements.txt", template!("python/requirements.txt")),
];

/// `templates/c/generated` holds what wit-bindgen makes of `guest.wit`; everything else is written by hand. A
/// handler's folder gets it as `gen`.
const C: [File; 11] = [
    (".gitignore", "/.venv\n/.zig-cache\n/build\n/source.secret\n"),
    ("README.md", template!("c/README.md")),
    ("fixtures/odd-text-is-stamped.json", template!("c/fixtures/odd-text-is-stamped.json")),
    ("gen/component_type.c", template!("c/component_type.c")),
    ("gen/guest.c", template!("c/generated/guest.c")),
    ("gen/guest.h", template!("c/generated/guest.h")),
    ("handler.c", template!("c/handler.c")),
    ("handler.toml", template!("c/handler.toml")),
    ("json.c", template!("c/json.c")),
    ("json.h", template!("c/json.h")),
    ("requirements.txt", template!("c/requirements.txt")),
];

/// All files of a handler in this language, but for a copy of the SDK.
pub(crate) fn files(language: Language) -> impl Iterator<Item = File> {
    let (own, contract): (&[File], &[File]) = match language {
        Language::Rust => (&RUST, &[]),
        Language::Js => (&JS, &WIT),
        Language::Python => (&PYTHON, &WIT),
        Language::C => (&C, &WIT),
    };
    COMMON.iter().chain(own).chain(contract).copied()
}
