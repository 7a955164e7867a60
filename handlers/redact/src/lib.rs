//! Blanks card numbers and personal fields in JSON payloads, and drops types that nobody wants, such as `ping`.
//!
//! Card numbers are found in any string by their form and check digit; fields are found by name at any depth.
//! A body that is not JSON cannot be searched for fields, so it is an error: better quarantined than leaked.
//! Bind it to a source with `raw = "drop"`, or the original bytes travel beside the redacted ones.

mod card;

use floodgate_sdk::{Event, Outcome};
use serde::Deserialize;
use serde_json::Value;

/// What stands in a blanked field.
const BLANK: &str = "[redacted]";

/// What the source's configuration says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Names of fields to blank, in whatever case.
    #[serde(default)]
    fields: Vec<String>,
    /// Event types to drop.
    #[serde(default = "ping")]
    drop_types: Vec<String>,
}

fn ping() -> Vec<String> {
    vec!["ping".to_owned()]
}

#[floodgate_sdk::handler]
fn redact(event: &Event, params: Params) -> Result<Outcome, NotJson> {
    if params.drop_types.iter().any(|unwanted| unwanted == event.event_type()) {
        return Ok(Outcome::drop(format!("type `{}` is not wanted", event.event_type())));
    }
    if event.body().is_empty() {
        return Ok(Outcome::pass());
    }
    let mut body: Value = event.json().map_err(NotJson)?;
    if params.blank(&mut body) {
        // A `Value` always has a JSON form.
        Ok(Outcome::change().body(body.to_string()).into())
    } else {
        Ok(Outcome::pass())
    }
}

impl Params {
    /// Blanks what is in `value`; says whether there was anything.
    fn blank(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) => card::mask(text).map(|masked| *text = masked).is_some(),
            // `|` and not `||`: all of them are searched.
            Value::Array(values) => values.iter_mut().fold(false, |found, value| found | self.blank(value)),
            Value::Object(fields) => {
                fields.iter_mut().fold(false, |found, (name, value)| found | self.blank_field(name, value))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    fn blank_field(&self, name: &str, value: &mut Value) -> bool {
        let personal = self.fields.iter().any(|field| field.eq_ignore_ascii_case(name));
        if !personal {
            return self.blank(value);
        }
        let holds_something = !value.is_null();
        if holds_something {
            *value = Value::from(BLANK);
        }
        holds_something
    }
}

/// The body could not be searched.
#[derive(Debug)]
struct NotJson(serde_json::Error);

impl std::fmt::Display for NotJson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The place alone: serde's text may quote the body.
        write!(f, "the body is not JSON: line {}, column {}", self.0.line(), self.0.column())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(event_type: &str, body: impl Into<Vec<u8>>) -> Result<Outcome, String> {
        let event = Event::builder().event_type(event_type).body(body).build();
        let params = Params { fields: vec!["email".into(), "phone".into()], drop_types: ping() };
        redact(&event, params).map_err(|error| error.to_string())
    }

    fn changed(body: &Value) -> Result<Outcome, String> {
        Ok(Outcome::change().body(body.to_string()).into())
    }

    #[test]
    fn fields_and_cards_are_blanked_at_any_depth() {
        let body = json!({"id": 7, "customer": {"Email": "a@b.c", "notes": ["card 4242 4242 4242 4242"]}, "phone": null});
        let blanked = json!({"id": 7, "customer": {"Email": "[redacted]", "notes": ["card [card 4242]"]}, "phone": null});
        assert_eq!(run("invoice.paid", body.to_string()), changed(&blanked));
    }

    #[test]
    fn what_holds_nothing_personal_passes_as_it_is() {
        assert_eq!(run("push", r#"{"amount": 1.10, "id": "1234567890123456"}"#), Ok(Outcome::Pass));
        assert_eq!(run("push", ""), Ok(Outcome::Pass));
    }

    #[test]
    fn unwanted_types_are_dropped_whatever_they_hold() {
        assert_eq!(run("ping", "no JSON"), Ok(Outcome::drop("type `ping` is not wanted")));
    }

    #[test]
    fn what_cannot_be_searched_does_not_go_on() {
        assert_eq!(run("push", "email=a@b.c"), Err("the body is not JSON: line 1, column 1".into()));
    }

    #[test]
    fn numbers_keep_their_digits_and_fields_their_order() {
        let outcome = run("push", r#"{"z":1.10,"a":12345678901234567890123,"email":"x"}"#);
        let body = r#"{"z":1.10,"a":12345678901234567890123,"email":"[redacted]"}"#;
        assert_eq!(outcome, Ok(Outcome::change().body(body).into()));
    }

    #[test]
    fn misspelt_parameters_are_refused() {
        assert!(serde_json::from_str::<Params>(r#"{"field": ["email"]}"#).is_err());
    }
}
