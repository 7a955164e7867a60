//! Blanks card numbers and personal fields in JSON payloads, and drops types that
//! nobody wants, such as `ping`.
//!
//! Card numbers are found in any string by their form and check digit; fields are found by name at any depth.
//! A body that is not JSON cannot be searched for fields, so it is an error: better quarantined than leaked.
//! Bind it to a source with `raw = "drop"`, or the original bytes travel beside the redacted ones.

mod card;

use floodgate_sdk::{EditError, Event, Outcome, Seen};
use serde::Deserialize;

/// What replaces the text of a blanked field.
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
fn redact(event: &Event, params: Params) -> Result<Outcome, EditError> {
    if params.drop_types.iter().any(|unwanted| unwanted == event.event_type()) {
        return Ok(Outcome::drop(format!("type `{}` is not wanted", event.event_type())));
    }
    if event.body().is_empty() {
        return Ok(Outcome::pass());
    }
    let mut body = event.edit()?;
    if body.rewrite(|value| params.blank(&value))? {
        Ok(Outcome::change().body(body).into())
    } else {
        Ok(Outcome::pass())
    }
}

impl Params {
    /// What goes in the place of a value, if it holds anything personal.
    fn blank(&self, value: &Seen<'_>) -> Option<String> {
        let personal =
            value.key.is_some_and(|key| self.fields.iter().any(|field| field.eq_ignore_ascii_case(key)));
        if personal {
            return (!value.is_null).then(|| BLANK.to_owned());
        }
        value.text.and_then(card::mask)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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
        assert_eq!(run("push", "email=a@b.c"), Err("not JSON".into()));
    }

    #[test]
    fn a_single_text_or_number_is_searched_as_well() {
        let masked = Outcome::change().body("\"[card 4242]\"");
        assert_eq!(run("push", "\"4242 4242 4242 4242\""), Ok(masked.into()));
        for harmless in ["\"hello\"", "5", "null", " true\n"] {
            assert_eq!(run("push", harmless), Ok(Outcome::Pass), "{harmless}");
        }
    }

    #[test]
    fn what_is_not_blanked_stays_byte_for_byte() {
        let trap = r#"{ "n": {"$serde_json::private::Number":"5"}, "s": "\ud83d", "email": 7 }"#;
        let expected = trap.replace("\"email\": 7", "\"email\": \"[redacted]\"");
        assert_eq!(run("push", trap), Ok(Outcome::change().body(expected).into()));
        let outcome = run("push", r#"{"z":1.10,"a":12345678901234567890123,"email":"x"}"#);
        let body = r#"{"z":1.10,"a":12345678901234567890123,"email":"[redacted]"}"#;
        assert_eq!(outcome, Ok(Outcome::change().body(body).into()));
    }

    #[test]
    fn misspelt_parameters_are_refused() {
        assert!(serde_json::from_str::<Params>(r#"{"field": ["email"]}"#).is_err());
    }
}
