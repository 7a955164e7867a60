//! A page of the configuration reference, rendered from a JSON schema that was derived from the types.
//!
//! Beside the words of JSON Schema it reads two of its own. `x-type` names a type that the schema does not
//! know, such as `address:port`. `x-reload` is true for a setting that a process reads again on SIGHUP.

mod example;
mod schema;
mod text;

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

pub use self::example::example;
use self::schema::{Setting, Table};

/// Set to anything, [`compare`] writes pages instead of comparing them.
pub const WRITE: &str = "FLOODGATE_WRITE_REFERENCE";

/// The settings of a file.
#[derive(Debug)]
pub struct Reference<'a> {
    /// The schema of the whole file.
    pub schema: &'a Value,
    /// True if the process reads some settings again on SIGHUP.
    pub reloads: bool,
}

impl Reference<'_> {
    /// Renders a table of all settings, and a section for each.
    ///
    /// # Panics
    /// If a setting has no description: its type needs a doc comment.
    pub fn render(&self) -> String {
        let tables = schema::tables(self.schema);
        let mut page = "## All settings\n\n".to_owned();
        self.overview(&tables, &mut page);
        for table in tables.iter().filter(|table| !table.is_bare()) {
            self.section(table, &mut page);
        }
        page
    }

    fn overview(&self, tables: &[Table], page: &mut String) {
        let reload = if self.reloads { (" reload |", "---|") } else { ("", "") };
        let _ = writeln!(page, "| setting | default | allowed |{}\n|---|---|---|{}", reload.0, reload.1);
        for setting in tables.iter().flat_map(|table| &table.settings) {
            let (path, anchor) = (&setting.path, text::anchor(&setting.path));
            let reload = match self.reloads {
                true if setting.is_reloaded() => " yes |",
                true => " |",
                false => "",
            };
            let (default, allowed) = (setting.default(), setting.allowed());
            let _ = writeln!(page, "| [`{path}`](#{anchor}) | {default} | {allowed} |{reload}");
        }
    }

    fn section(&self, table: &Table, page: &mut String) {
        if let Some(heading) = table.heading() {
            let _ = writeln!(page, "\n## {heading}\n\n{}", text::wrapped(&table.description));
        } else {
            let _ = writeln!(page, "\n## Outside of tables\n\nThese settings come before the first table.");
        }
        if let Some(other) = &table.same_as {
            let anchor = text::anchor(other);
            let _ = writeln!(page, "\nIt has the settings of [`[{other}]`](#{anchor}).");
        }
        for setting in &table.settings {
            let _ = writeln!(page, "\n### `{}`\n\n{}", setting.path, text::wrapped(&setting.description()));
            let _ = writeln!(page, "\n{}", text::wrapped(&self.facts(setting)));
        }
    }

    fn facts(&self, setting: &Setting) -> String {
        let mut facts = vec![format!("Type: {}", setting.kind())];
        facts.push(match setting.default().as_str() {
            "required" => "required".to_owned(),
            "" => "optional".to_owned(),
            default => format!("default: {default}"),
        });
        let allowed = setting.allowed();
        if !allowed.is_empty() {
            facts.push(format!("allowed: {allowed}"));
        }
        if setting.is_reloaded() {
            facts.push("a reload applies it".to_owned());
        }
        format!("{}.", facts.join(" · "))
    }
}

/// Compares a part of a page of `docs/` with what it should be, or writes it if [`WRITE`] is set. The part is
/// between the lines `<!-- begin: PART -->` and `<!-- end: PART -->`.
///
/// # Panics
/// If the part is another one or is not there, or if the page cannot be read or written.
#[allow(clippy::expect_used)] // A test without its page has failed.
pub fn compare(page: &str, part: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let text = std::fs::read_to_string(&path).expect("the page is there");
    let (begin, end) = (format!("<!-- begin: {part} -->\n"), format!("<!-- end: {part} -->\n"));
    let from = text.find(&begin).expect("the part begins") + begin.len();
    let to = text.find(&end).expect("the part ends");
    let expected = format!("\n{}\n\n", expected.trim());
    if std::env::var_os(WRITE).is_some() {
        let written = format!("{}{expected}{}", &text[..from], &text[to..]);
        return std::fs::write(&path, written).expect("the page can be written");
    }
    let same = text[from..to] == expected;
    assert!(same, "docs/{page} is not what the types say: run this test with {WRITE}=1");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields of `floodgate.toml` are those of the admin API, whose document is a snapshot of the types.
    #[test]
    fn the_page_of_objects_shows_what_the_api_says() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
        let mut schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let table = |schema: &str, of: &str| {
            let name =
                serde_json::json!({"$ref": format!("#/components/schemas/{schema}"), "description": of});
            serde_json::json!({"description": of, "properties": {"NAME": name}})
        };
        schema["properties"] = serde_json::json!({
            "sources": table("Source", "A source: where a provider posts, and how its requests are verified."),
            "destinations": table("Destination", "A destination: where events go, and how they are delivered."),
        });
        compare(
            "configuration/objects.md",
            "settings",
            &Reference { schema: &schema, reloads: false }.render(),
        );
    }

    #[test]
    fn numbers_and_anchors_are_as_pages_have_them() {
        assert_eq!(text::number(1 << 20, true), "1,048,576 (1 MiB)");
        assert_eq!(text::number(10_000, false), "10,000");
        assert_eq!(text::anchor("limits.max_header_bytes"), "limitsmax_header_bytes");
    }
}
