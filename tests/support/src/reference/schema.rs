//! The settings of a schema, by the tables that they are in.

use serde_json::{Map, Value};

use super::text;

/// The unit that the end of a name says.
const UNITS: [(&str, &str); 7] = [
    ("bytes", "bytes"),
    ("seconds", "seconds"),
    ("ms", "milliseconds"),
    ("days", "days"),
    ("percent", "percent"),
    ("file", "path of a file"),
    ("dir", "path of a folder"),
];

/// A table of the file, or the file itself.
pub(super) struct Table {
    /// Its path, empty for the file itself.
    pub(super) path: String,
    pub(super) is_array: bool,
    pub(super) description: String,
    pub(super) settings: Vec<Setting>,
    /// The table before it that has the same settings; `settings` is empty then.
    pub(super) same_as: Option<String>,
}

impl Table {
    /// True if it holds nothing but other tables.
    pub(super) fn is_bare(&self) -> bool {
        self.settings.is_empty() && self.same_as.is_none()
    }

    pub(super) fn heading(&self) -> Option<String> {
        match (self.path.as_str(), self.is_array) {
            ("", _) => None,
            (path, false) => Some(format!("`[{path}]`")),
            (path, true) => Some(format!("`[[{path}]]`")),
        }
    }
}

/// A setting that is no table.
pub(super) struct Setting {
    /// Its name with those of its tables.
    pub(super) path: String,
    pub(super) schema: Value,
    pub(super) is_required: bool,
}

impl Setting {
    pub(super) fn description(&self) -> String {
        let text = self.schema["description"].as_str();
        text.unwrap_or_else(|| panic!("`{}` has no description", self.path)).to_owned()
    }

    pub(super) fn is_reloaded(&self) -> bool {
        self.schema["x-reload"] == true
    }

    pub(super) fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or_default()
    }

    fn unit(&self) -> Option<&'static str> {
        let ends = |segment: &str, unit: &str| segment.rsplit('_').next() == Some(unit);
        let of = |segment: &str| UNITS.iter().find(|(end, _)| ends(segment, end)).map(|(_, unit)| *unit);
        self.path.rsplit('.').find_map(of)
    }

    fn is_bytes(&self) -> bool {
        self.unit() == Some("bytes")
    }

    /// The type and the unit, in words.
    pub(super) fn kind(&self) -> String {
        let schema = &self.schema;
        if let Some(kind) = schema["x-type"].as_str() {
            return kind.to_owned();
        }
        match (kind(schema), self.unit()) {
            ("string", Some(unit)) => unit.to_owned(),
            ("string", None) => "text".to_owned(),
            ("null", _) => "reserved, must be left out".to_owned(),
            ("boolean", _) => "`true` or `false`".to_owned(),
            ("integer", Some(unit)) => format!("whole number of {unit}"),
            ("integer", None) => "whole number".to_owned(),
            ("array", _) if kind(&schema["items"]) == "integer" => "list of whole numbers".to_owned(),
            ("array", _) => "list of texts".to_owned(),
            ("object", _) => "table".to_owned(),
            _ => alternatives(schema),
        }
    }

    /// `required`, the default as TOML has it, or nothing.
    pub(super) fn default(&self) -> String {
        match self.schema.get("default") {
            _ if self.is_required => "required".to_owned(),
            None | Some(Value::Null) => String::new(),
            Some(Value::Number(value)) if value.is_u64() => {
                text::number(value.as_u64().unwrap_or_default(), self.is_bytes())
            }
            Some(other) => format!("`{other}`"),
        }
    }

    /// The bounds, or the values that are allowed.
    pub(super) fn allowed(&self) -> String {
        let schema = &self.schema;
        if let Some(values) = schema["enum"].as_array() {
            let values: Vec<_> =
                values.iter().filter(|value| !value.is_null()).map(|v| format!("`{v}`")).collect();
            return values.join(", ");
        }
        let of = |key: &str| schema[key].as_u64();
        let number = |value| text::number(value, self.is_bytes());
        let (bounds, what) = match kind(schema) {
            "integer" => ((of("minimum"), of("maximum")), ""),
            "array" => ((of("minItems"), of("maxItems")), " entries"),
            "string" => ((of("minLength"), of("maxLength")), " bytes"),
            _ => return String::new(),
        };
        match bounds {
            (Some(least), Some(most)) => format!("{} to {}{what}", number(least), number(most)),
            (Some(0) | None, None) => String::new(),
            (Some(least), None) => format!("at least {}{what}", number(least)),
            (None, Some(most)) => format!("at most {}{what}", number(most)),
        }
    }
}

/// The type, apart from null.
fn kind(schema: &Value) -> &str {
    match &schema["type"] {
        Value::String(kind) => kind,
        Value::Array(kinds) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("")
        }
        _ => "",
    }
}

/// `{ json = … }` or `{ header = … }`: tables of one member, one of which is expected.
fn alternatives(schema: &Value) -> String {
    let all = schema["oneOf"].as_array().into_iter().flatten();
    let members = all.filter_map(|one| one["properties"].as_object()?.keys().next());
    members.map(|name| format!("`{{ {name} = … }}`")).collect::<Vec<_>>().join(" or ")
}

/// All tables of a file, each after the one that it is in.
pub(super) fn tables(root: &Value) -> Vec<Table> {
    let mut walk = Walk { root, tables: Vec::new(), seen: Vec::new() };
    walk.table(&resolved(root, root).0, "", false);
    walk.tables
}

/// What a schema refers to, with what it says itself laid over it, and the reference.
pub(super) fn resolved(root: &Value, schema: &Value) -> (Value, Option<String>) {
    let mut target = None;
    let mut schema = schema.clone();
    loop {
        let either = ["anyOf", "oneOf", "allOf"].into_iter().find_map(|key| {
            let all = schema[key].as_array()?;
            let mut real = all.iter().filter(|one| one["type"] != "null");
            real.next().filter(|_| real.next().is_none()).map(|one| (key, one.clone()))
        });
        let (key, under) = match (schema["$ref"].as_str(), either) {
            (Some(path), _) => {
                let at = path.trim_start_matches('#');
                target = Some(path.to_owned());
                ("$ref", root.pointer(at).cloned().unwrap_or_default())
            }
            (None, Some(either)) => either,
            (None, None) => return (schema, target),
        };
        schema = laid_over(under, schema, key);
    }
}

fn laid_over(under: Value, over: Value, without: &str) -> Value {
    let (Value::Object(mut under), Value::Object(mut over)) = (under, over) else { return Value::Null };
    over.remove(without);
    under.extend(over);
    Value::Object(under)
}

struct Walk<'a> {
    root: &'a Value,
    tables: Vec<Table>,
    /// Which schema the tables before are made of.
    seen: Vec<(String, String)>,
}

impl Walk<'_> {
    fn table(&mut self, schema: &Value, path: &str, is_array: bool) {
        let at = self.tables.len();
        let description = schema["description"].as_str().unwrap_or_default().to_owned();
        let path_of_it = path.to_owned();
        self.tables.push(Table {
            path: path_of_it,
            is_array,
            description,
            settings: Vec::new(),
            same_as: None,
        });
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (name, member) in sorted(&schema["properties"]) {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let (member, target) = resolved(self.root, &member);
            let (items, item_target) = resolved(self.root, &member["items"]);
            if member["properties"].is_object() {
                self.member(member, target, &path, false);
            } else if items["properties"].is_object() {
                let description = member["description"].clone();
                let items = laid_over(items, serde_json::json!({"description": description}), "");
                self.member(items, item_target, &path, true);
            } else {
                let is_required = required.iter().any(|one| *one == name);
                let mut schema = member;
                if schema["items"].is_object() {
                    schema["items"] = items;
                }
                self.tables[at].settings.push(Setting { path, schema, is_required });
            }
        }
    }

    fn member(&mut self, schema: Value, target: Option<String>, path: &str, is_array: bool) {
        let before = self.seen.iter().find(|(seen, _)| Some(seen) == target.as_ref());
        if let Some((_, other)) = before {
            let (path, same_as) = (path.to_owned(), Some(other.clone()));
            let description = schema["description"].as_str().unwrap_or_default().to_owned();
            self.tables.push(Table { path, is_array, description, settings: Vec::new(), same_as });
            return;
        }
        self.seen.extend(target.map(|target| (target, path.to_owned())));
        self.table(&schema, path, is_array);
    }
}

/// The members by name, whatever order the map has.
fn sorted(properties: &Value) -> Vec<(String, Value)> {
    let members = properties.as_object().cloned().unwrap_or_else(Map::new);
    let mut members: Vec<_> = members.into_iter().collect();
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    members
}
