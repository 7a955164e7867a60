//! The words of an explanation. Everything from outside goes through [`crate::output`] or
//! [`crate::table`], which let nothing through that could steer a terminal.

use floodgate_gateway::Preview;
use floodgate_schemes::Step;
use serde::Serialize;

use super::{Explanation, Outcome, State};
use crate::output::printable;
use crate::table::Table;

/// An explanation for programs.
#[derive(Debug, Serialize)]
pub(in crate::source) struct Json<'a> {
    result: &'static str,
    step: Option<&'static str>,
    reason: Option<String>,
    key: Option<&'a str>,
    event: Option<Event<'a>>,
    hints: &'a [String],
}

/// The id and the type of the event. Both are absent if the body is in a coding that gateways do not take.
#[derive(Debug, Default, Serialize)]
struct Event<'a> {
    id: Option<&'a str>,
    r#type: Option<&'a str>,
}

impl Explanation<'_> {
    /// Returns the explanation for programs.
    pub(in crate::source) fn json(&self) -> Json<'_> {
        let failure = self.failure();
        Json {
            result: if failure.is_none() { "valid" } else { "invalid" },
            step: failure.map(|failure| failure.step().as_str()),
            reason: failure.map(ToString::to_string),
            key: match &self.outcome {
                Outcome::Event(key) => Some(key),
                Outcome::Handshake(_) | Outcome::Refused(_) => None,
            },
            event: self.event.as_ref().map(|event| match event {
                Ok(Preview { id, event_type, .. }) => {
                    Event { id: id.as_deref().ok(), r#type: event_type.as_deref().ok() }
                }
                Err(_) => Event::default(),
            }),
            hints: &self.hints,
        }
    }

    /// Returns the explanation for people.
    pub(in crate::source) fn text(&self) -> String {
        let verdict = match &self.outcome {
            Outcome::Event(key) => format!("valid, by the key {key}"),
            Outcome::Handshake(status) => {
                format!("valid: a handshake of the provider, which a gateway answers with {status}; no event")
            }
            Outcome::Refused(failure) => format!("invalid: {}", failure.step().as_str()),
        };
        let mut parts = vec![self.scheme(), self.went(), self.named(), format!("{}\n", printable(&verdict))];
        parts.retain(|part| !part.is_empty());
        parts.join("\n")
    }

    /// What the scheme expects, and what there is.
    fn scheme(&self) -> String {
        let (preset, saved) = (self.case.preset(), self.case.saved);
        let mut table = Table::default();
        table.row(["scheme", &format!("{} ({})", preset.name, preset.title)]);
        if !preset.documentation.is_empty() {
            table.row(["described at", preset.documentation]);
        }
        for (heading, text) in preset.describe(self.case.settings) {
            table.row([heading, &text]);
        }
        let (headers, bytes) = (saved.headers.len(), saved.body.len());
        table.row(["request", &format!("{} {}", saved.method, saved.path())]);
        table.row(["", &format!("{headers} headers, and a body of {bytes} bytes")]);
        table.row(["looked at", &format!("as of {} (Unix seconds)", self.case.now)]);
        for note in &saved.notes {
            table.row(["note", note]);
        }
        table.render()
    }

    /// How each step went.
    fn went(&self) -> String {
        let mut table = Table::default();
        for (step, state) in self.steps() {
            let name = step.as_str();
            match state {
                State::Passed => table.row([name, "passed"]),
                State::NotReached => table.row([name, "not reached"]),
                State::NoTime => table.row([name, "requests have no signed time"]),
                State::Failed(failure) => {
                    table.row([name, &format!("FAILED: {failure}")]);
                    self.expected(step).iter().for_each(|line| table.row(["", &format!("expected {line}")]));
                }
            }
        }
        table.render()
    }

    /// What of the scheme's description the step looks at.
    fn expected(&self, step: Step) -> Vec<String> {
        let headings: &[&str] = match step {
            Step::Form => &["header", "id", "time"],
            Step::Time => &["time", "tolerance"],
            Step::Signature => &["algorithm", "written in", "key", "signed", "url"],
            Step::Key | Step::Audience => &[],
        };
        let lines = self.case.preset().describe(self.case.settings).into_iter();
        let looked_at = lines.filter(|(heading, _)| headings.contains(heading));
        looked_at.map(|(heading, text)| format!("{heading}: {text}")).collect()
    }

    /// What the event is called, and what may be wrong.
    fn named(&self) -> String {
        let mut table = Table::default();
        match &self.event {
            None => {}
            Some(Err(why)) => table.row(["event", &format!("cannot be read: {why}")]),
            Some(Ok(Preview { id, is_id_signed, event_type })) => {
                let signed = match is_id_signed {
                    true => "signed",
                    false => "not signed, so that the body decides what is a duplicate",
                };
                let none = |why: &&str| format!("none ({})", why.replace('_', " "));
                table.row(["event id", &id.as_ref().map_or_else(none, |id| format!("{id} ({signed})"))]);
                table.row(["event type", &event_type.clone().unwrap_or_else(|why| none(&why))]);
            }
        }
        for hint in &self.hints {
            table.row(["hint", hint]);
        }
        table.render()
    }
}
