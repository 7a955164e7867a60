//! The differences between two views of an object, key by key. The API shows secrets by their ids only, and
//! so does this.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

/// Stands for the id of a new secret, which has no lasting one yet.
const NEW_SECRET: &str = "a new secret";

/// A key whose value differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Difference {
    path: String,
    before: Option<Value>,
    after: Option<Value>,
}

impl Difference {
    /// Writes the difference as a line of text.
    pub(crate) fn render(&self) -> String {
        let Self { path, before, after } = self;
        match (before, after) {
            (None, Some(after)) => format!("    + {path} = {after}\n"),
            (Some(before), None) => format!("    - {path} = {before}\n"),
            (Some(before), Some(after)) => format!("    ~ {path} = {before} → {after}\n"),
            (None, None) => String::new(),
        }
    }
}

/// Returns the keys that differ, in order. Objects are compared key by key, and lists as a whole.
pub(crate) fn between(before: &Value, after: &Value) -> Vec<Difference> {
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    flatten("", before, &mut old);
    flatten("", after, &mut new);
    name_new_secrets(&old, &mut new);
    let paths: BTreeSet<_> = old.keys().chain(new.keys()).cloned().collect();
    let compare = |path: String| {
        let (before, after) = (old.get(&path).cloned(), new.get(&path).cloned());
        (before != after).then_some(Difference { path, before, after })
    };
    paths.into_iter().filter_map(compare).collect()
}

fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, into);
            }
        }
        Value::Null => {}
        // The line above already says so.
        _ if path == "name" => {}
        value if is_secrets(path) => drop(into.insert(path.to_owned(), ids(value))),
        value => drop(into.insert(path.to_owned(), value.clone())),
    }
}

fn is_secrets(path: &str) -> bool {
    path.rsplit('.').next() == Some("secrets")
}

fn ids(secrets: &Value) -> Value {
    let secrets = secrets.as_array().map(Vec::as_slice).unwrap_or_default();
    secrets.iter().filter_map(|secret| secret.get("id").cloned()).collect()
}

fn name_new_secrets(old: &BTreeMap<String, Value>, new: &mut BTreeMap<String, Value>) {
    for (path, after) in new.iter_mut().filter(|(path, _)| is_secrets(path)) {
        let known = old.get(path).and_then(Value::as_array).cloned().unwrap_or_default();
        for id in after.as_array_mut().into_iter().flatten().filter(|id| !known.contains(id)) {
            *id = NEW_SECRET.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_and_secrets_that_differ_are_named() {
        let before = json!({"url": "a", "retry": {"x": [1]}, "rate": 5, "verify": {"secrets": [{"id": "s1"}, {"id": "s2"}]}});
        let after = json!({"url": "b", "retry": {"x": [1]}, "new": true, "verify": {"secrets": [{"id": "s2"}, {"id": "s3"}]}});
        let text: String = between(&before, &after).iter().map(Difference::render).collect();
        assert_eq!(
            text,
            "    + new = true\n    - rate = 5\n    ~ url = \"a\" → \"b\"\n    \
             ~ verify.secrets = [\"s1\",\"s2\"] → [\"s2\",\"a new secret\"]\n"
        );
        assert!(between(&before, &before).is_empty());
    }
}
