//! A file with every setting: its default, or the example of its type.

use std::fmt::Write as _;

use serde_json::Value;

use super::schema::{self, Setting, Table};

/// Renders a file in which every setting has its default or the example that its type gives. A setting that
/// has neither is in a comment.
pub fn example(schema: &Value) -> String {
    let tables = schema::tables(schema);
    let mut file = String::new();
    for table in &tables {
        if let Some(heading) = table.heading() {
            let _ = writeln!(file, "\n{}", heading.replace('`', ""));
        }
        for setting in settings(table, &tables) {
            let name = setting.name();
            match value(setting) {
                Some(value) => writeln!(file, "{name} = {value}"),
                None => writeln!(file, "# {name} = …"),
            }
            // Writing into a text does not fail.
            .unwrap_or_default();
        }
    }
    file.trim().to_owned() + "\n"
}

fn settings<'a>(table: &'a Table, all: &'a [Table]) -> &'a [Setting] {
    let same = table.same_as.as_ref().and_then(|path| all.iter().find(|other| other.path == *path));
    &same.unwrap_or(table).settings
}

fn value(setting: &Setting) -> Option<&Value> {
    let schema = &setting.schema;
    let example = schema["examples"].as_array().and_then(|all| all.first());
    example.or(schema.get("default")).filter(|value| !value.is_null())
}
