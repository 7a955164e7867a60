//! The guests, built from source.

use std::path::Path;
use std::process::Command;

const HANDLERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../handlers");

/// Builds a handler of this repository, as `floodgate handler build` does, and reads its component.
pub(crate) fn build(name: &str) -> Vec<u8> {
    let handlers = Path::new(HANDLERS);
    let target = handlers.join("target");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--quiet", "--target", "wasm32-wasip2"])
        .env("CARGO_TARGET_DIR", &target)
        .current_dir(handlers.join(name))
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the handler `{name}` does not build; is the target wasm32-wasip2 installed?");
    std::fs::read(target.join(format!("wasm32-wasip2/release/{name}.wasm"))).expect("a component")
}
