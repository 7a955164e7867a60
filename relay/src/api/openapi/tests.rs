use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::*;

/// Set to anything, the test writes the snapshot instead of comparing it.
const WRITE: &str = "FLOODGATE_WRITE_OPENAPI";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn document() -> Value {
    serde_json::from_str(&DOCUMENT).unwrap()
}

#[test]
fn the_snapshot_is_what_is_served() {
    let path = root().join("docs/openapi.json");
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, DOCUMENT.as_str()).unwrap();
    }
    let snapshot = std::fs::read_to_string(&path).unwrap_or_default();
    let same = snapshot == *DOCUMENT;
    assert!(same, "docs/openapi.json is not what the annotations say: run this test with {WRITE}=1");
}

/// Everything that is served is made of an annotated endpoint. The token's layer and the fallbacks aside, the
/// router has nothing else.
#[test]
fn every_endpoint_is_in_the_document_and_nothing_else() {
    let document = document();
    let described = document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        item.as_object().unwrap().keys().map(|method| (path.clone(), method.clone())).collect::<Vec<_>>()
    });
    let served = super::super::endpoints().into_iter().chain(super::super::health::endpoints());
    let served = served.flat_map(|Endpoint((_, paths, _))| {
        let paths = serde_json::to_value(paths).unwrap();
        let each = |(path, item): (&String, &Value)| {
            item.as_object().unwrap().keys().map(|method| (path.clone(), method.clone())).collect::<Vec<_>>()
        };
        paths.as_object().unwrap().iter().flat_map(each).collect::<Vec<_>>()
    });
    assert_eq!(described.collect::<BTreeSet<_>>(), served.collect::<BTreeSet<_>>());
}

#[test]
fn every_property_and_parameter_is_described() {
    let mut bare = Vec::new();
    undescribed(&document(), &mut Vec::new(), &mut bare);
    assert!(bare.is_empty(), "{bare:#?}");
}

/// In itself, or in what it may be besides null.
fn described(one: &Value) -> bool {
    let either = one.get("oneOf").and_then(Value::as_array);
    one.get("description").is_some_and(|text| text != "")
        || either.is_some_and(|all| all.iter().any(described))
}

fn undescribed(value: &Value, path: &mut Vec<String>, bare: &mut Vec<String>) {
    if let Some(properties) = value.get("properties").and_then(Value::as_object) {
        for (name, property) in properties.iter().filter(|(_, property)| !described(property)) {
            // What refers to a schema alone is described there.
            if property.get("$ref").is_none() {
                bare.push(format!("{}.{name}", path.join("/")));
            }
        }
    }
    let parameters = value.get("parameters").and_then(Value::as_array).into_iter().flatten();
    bare.extend(parameters.filter(|one| !described(one)).map(|one| format!("{} {one}", path.join("/"))));
    let members: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (name, member) in members {
        path.push(name);
        undescribed(member, path, bare);
        path.pop();
    }
}

/// By a validator that is none of ours.
#[test]
fn it_is_openapi() {
    let Ok(python) = floodgate_testkit::programs::python() else {
        eprintln!("SKIPPED: there is no Python with openapi-spec-validator: run `make setup`");
        return;
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), DOCUMENT.as_str()).unwrap();
    let mut command = Command::new(python);
    let ended =
        command.args(["-m", "openapi_spec_validator", "--schema", "3.1"]).arg(file.path()).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout) + String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
}
