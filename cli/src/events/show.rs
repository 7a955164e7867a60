//! Shows an event: first what became of it, then its fields, then each list as a table.

use serde_json::{Map, Value};

use crate::output;
use crate::table::Table;

/// The fields of an event, in order. Fields that only a later relay knows follow.
const FIELDS: [&str; 21] = [
    "status",
    "reason",
    "id",
    "source",
    "type",
    "provider_id",
    "received_at",
    "stored_at",
    "region",
    "lane",
    "parent",
    "tenant",
    "scheme",
    "secret_id",
    "config_revision",
    "remote_address",
    "raw_bytes",
    "payload_bytes",
    "position",
    "origin",
    "trace",
];
/// The lists of an event, in order, each with its columns.
const LISTS: [(&str, &[&str]); 3] = [
    ("handlers", &["outcome", "name", "version"]),
    ("children", &["ordinal", "id", "type"]),
    ("deliveries", &["state", "destination", "attempts", "next_attempt_at", "reason", "generation"]),
];
/// The columns of attempts. The destination is that of their delivery.
const ATTEMPTS: [&str; 7] =
    ["outcome", "status", "destination", "number", "started_at", "duration_ms", "error"];
/// The most characters of an answer that are shown. `--json` shows all that is kept.
const MAX_RESPONSE: usize = 500;

/// Everything that the API answered about an event, including fields that only a later relay knows.
pub(super) fn render(event: Value) -> String {
    let Value::Object(mut event) = event else { return format!("{event}\n") };
    let lists: Vec<_> = LISTS.iter().map(|(name, columns)| (*name, *columns, event.remove(*name))).collect();
    let mut text = fields(event);
    let mut attempts = Vec::new();
    for (name, columns, items) in lists {
        let mut items = objects(items);
        if name == "deliveries" {
            attempts = items.iter_mut().flat_map(take_attempts).collect();
        }
        text += &section(name, columns, &items);
    }
    text + &section("attempts", &ATTEMPTS, &attempts) + &answers(&attempts)
}

/// Writes one field to a line, without those that are empty.
fn fields(mut event: Map<String, Value>) -> String {
    let mut table = Table::default();
    let known: Vec<_> = FIELDS.iter().filter_map(|name| event.remove_entry(*name)).collect();
    for (name, value) in known.into_iter().chain(event) {
        match &value {
            Value::Null => {}
            Value::String(text) if text.is_empty() => {}
            value => table.row([name.replace('_', " "), text(value)]),
        }
    }
    table.render()
}

/// Writes a table under its name, or nothing if the list is empty.
fn section(name: &str, first: &[&str], items: &[Map<String, Value>]) -> String {
    let mut columns: Vec<&str> = first.to_vec();
    for key in items.iter().flat_map(Map::keys) {
        if !columns.contains(&key.as_str()) && key != "response" {
            columns.push(key);
        }
    }
    // A column that is empty in all rows is left out.
    columns.retain(|column| items.iter().any(|item| item.get(*column).is_some_and(|value| !value.is_null())));
    if columns.is_empty() {
        return String::new();
    }
    let mut table = Table::new(columns.iter().map(|column| column.replace('_', " ")));
    for item in items {
        table.row(columns.iter().map(|column| item.get(*column).map(text).unwrap_or_default()));
    }
    format!("\n{name}\n{}", table.render())
}

/// Writes what consumers answered, as far as it is kept.
fn answers(attempts: &[Map<String, Value>]) -> String {
    let mut lines = String::new();
    for attempt in attempts {
        let Some(Value::String(response)) = attempt.get("response") else { continue };
        let start: String = response.chars().take(MAX_RESPONSE).collect();
        let more = if start.len() < response.len() { " … (--json shows more)" } else { "" };
        let of = |key| attempt.get(key).map(text).unwrap_or_default();
        let (destination, number) = (of("destination"), of("number"));
        let answer = output::printable(&start);
        lines += &format!("  {destination}, attempt {number}: {answer}{more}\n");
    }
    if lines.is_empty() { lines } else { format!("\nanswers\n{lines}") }
}

/// Takes the attempts out of a delivery, and leaves their number.
fn take_attempts(delivery: &mut Map<String, Value>) -> Vec<Map<String, Value>> {
    let mut attempts = objects(delivery.remove("attempts"));
    delivery.insert("attempts".to_owned(), attempts.len().into());
    for attempt in &mut attempts {
        if let Some(destination) = delivery.get("destination") {
            attempt.insert("destination".to_owned(), destination.clone());
        }
    }
    attempts
}

fn objects(items: Option<Value>) -> Vec<Map<String, Value>> {
    let items = match items {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    };
    let object = |item| match item {
        Value::Object(object) => Some(object),
        _ => None,
    };
    items.into_iter().filter_map(object).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let named = fields.iter().map(|(name, value)| format!("{name} {}", text(value)));
            named.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rendered(event: Value) -> Vec<Vec<String>> {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
        render(event).lines().map(words).collect()
    }

    fn event() -> Value {
        json!({
            "config_revision": 7, "id": "evt_1", "parent": null, "provider_id": "", "status": "stored",
            "type": "a\u{202e}b", "position": {"shard": 0, "sequence": 5, "index": 1},
            "handlers": [{"name": "trim", "outcome": "change", "version": 2}],
            "children": [{"id": "evt_2", "ordinal": 0, "type": "x"}],
            "deliveries": [{
                "attempts": [
                    {"duration_ms": 3, "number": 1, "outcome": "failed", "status": null, "error": "no connection",
                        "started_at": "t1"},
                    {"duration_ms": 5, "number": 2, "outcome": "failed", "status": 500, "started_at": "t2",
                        "response": "broken\u{1b}[2J\nhere"},
                ],
                "destination": "shop", "generation": 0, "state": "dead", "next_attempt_at": null,
            }],
        })
    }

    #[test]
    fn the_state_comes_first_and_attempts_are_a_table() {
        let lines = rendered(event());
        let line = |text: &str| lines.iter().position(|words| words.join(" ") == text);
        let expected = [
            "status stored",
            "id evt_1",
            "type a\\u{202e}b",
            "config revision 7",
            "position index 1, sequence 5, shard 0",
            "handlers",
            "outcome name version",
            "change trim 2",
            "children",
            "ordinal id type",
            "0 evt_2 x",
            "deliveries",
            "state destination attempts generation",
            "dead shop 2 0",
            "attempts",
            "outcome status destination number started at duration ms error",
            "failed - shop 1 t1 3 no connection",
            "failed 500 shop 2 t2 5",
            "answers",
            "shop, attempt 2: broken\\u{1b}[2J\\nhere",
        ];
        let at: Vec<_> = expected.iter().map(|text| line(text)).collect();
        assert!(at.iter().all(Option::is_some) && at.is_sorted(), "{at:?}\n{lines:#?}");
    }

    #[test]
    fn lines_stay_short_whatever_a_consumer_answers() {
        let mut event = event();
        event["deliveries"][0]["attempts"][1]["response"] = "x".repeat(20_480).into();
        let widest = render(event).lines().map(|line| line.chars().count()).max();
        assert!(widest < Some(MAX_RESPONSE + 60), "{widest:?}");
    }
}
