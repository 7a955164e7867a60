//! The Rust SDK's sources. A handler in Rust gets a copy beside it: there is no registry that it could come
//! from, and so the handler is built against the SDK of the program that began it.

use crate::template::File;

macro_rules! sdk {
    ($path:literal) => {
        (concat!("sdk/", $path), include_str!(concat!("../../../sdk/", $path)))
    };
}

/// The manifests stand alone: those of the repository take versions from its workspace.
const MANIFESTS: [File; 3] = [
    ("sdk/Cargo.toml", include_str!("../templates/rust/sdk/sdk.toml")),
    ("sdk/json/Cargo.toml", include_str!("../templates/rust/sdk/json.toml")),
    ("sdk/macros/Cargo.toml", include_str!("../templates/rust/sdk/macros.toml")),
];

const SOURCES: [File; 29] = [
    sdk!("json/src/edit.rs"),
    sdk!("json/src/edit/place.rs"),
    sdk!("json/src/error.rs"),
    sdk!("json/src/find.rs"),
    sdk!("json/src/items.rs"),
    sdk!("json/src/lib.rs"),
    sdk!("json/src/lossy.rs"),
    sdk!("json/src/pointer.rs"),
    sdk!("json/src/rewrite.rs"),
    sdk!("json/src/scan.rs"),
    sdk!("json/src/walk.rs"),
    sdk!("macros/src/lib.rs"),
    sdk!("src/bindings.rs"),
    sdk!("src/builder.rs"),
    sdk!("src/counters.rs"),
    sdk!("src/event.rs"),
    sdk!("src/glue.rs"),
    sdk!("src/heap.rs"),
    sdk!("src/host.rs"),
    sdk!("src/host/component.rs"),
    sdk!("src/host/native.rs"),
    sdk!("src/inert.rs"),
    sdk!("src/keys.rs"),
    sdk!("src/lane.rs"),
    sdk!("src/lib.rs"),
    sdk!("src/log.rs"),
    sdk!("src/outcome.rs"),
    sdk!("src/request.rs"),
    sdk!("wit/handler.wit"),
];

/// All files of the copy, by their paths in the handler's folder. `{{version}}` in them is filled in.
pub(crate) fn files() -> impl Iterator<Item = File> {
    MANIFESTS.into_iter().chain(SOURCES)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::path::{Path, PathBuf};

    use toml::{Table, Value};

    use super::*;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    fn sources(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_source = path.extension().is_some_and(|extension| extension == "rs" || extension == "wit");
            if path.is_dir() && !path.ends_with("tests") {
                sources(&path, found);
            } else if is_source {
                found.insert(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }

    #[test]
    fn every_source_of_the_sdk_is_copied() {
        let mut there = BTreeSet::new();
        sources(&root().join("sdk"), &mut there);
        assert_eq!(SOURCES.iter().map(|(path, _)| (*path).to_owned()).collect::<BTreeSet<_>>(), there);
    }

    /// Dependencies by name, as `version` and `features`; a path stands for this repository's own crates.
    fn dependencies(manifest: &Table, workspace: &Table) -> BTreeMap<String, (String, Vec<Value>)> {
        let targets = manifest.get("target").and_then(Value::as_table);
        let tables =
            targets.into_iter().flatten().filter_map(|(_, target)| target.as_table()).chain([manifest]);
        let named = tables.filter_map(|table| table.get("dependencies")?.as_table()).flatten();
        let resolved = named.map(|(name, value)| {
            let inherited = value.get("workspace").is_some();
            let value = if inherited { &workspace[name] } else { value };
            let version = value.as_str().or_else(|| value.get("version")?.as_str()).unwrap_or("path");
            let features = value.get("features").and_then(Value::as_array).cloned().unwrap_or_default();
            (name.clone(), (version.to_owned(), features))
        });
        resolved.collect()
    }

    #[test]
    fn the_copy_s_manifests_ask_for_what_the_repository_s_do() {
        let read = |path: &str| fs::read_to_string(root().join(path)).unwrap().parse::<Table>().unwrap();
        let workspace = read("Cargo.toml")["workspace"]["dependencies"].as_table().unwrap().clone();
        for (path, text) in MANIFESTS {
            let copy = text.parse::<Table>().unwrap();
            let mut own = dependencies(&read(path), &workspace);
            // The gateway reads JSON with it; nothing here does, and it would change what handlers' own code
            // reads.
            if let Some((_, features)) = own.get_mut("serde_json") {
                features.clear();
            }
            assert_eq!(dependencies(&copy, &workspace), own, "{path}");
        }
    }
}
