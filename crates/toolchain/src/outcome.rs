//! An outcome as JSON. A fixture states the outcome that it expects in this form, and a run's outcome is
//! compared and shown in it.

use floodgate_event::Lane;
use floodgate_sandbox::{Change, Fault, Outcome};
use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An outcome as a fixture writes it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OutcomeJson {
    Pass,
    Drop(Reason),
    Change(Changed),
    Split(Vec<Child>),
    Respond(Response),
    Fault(Failed),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reason {
    reason: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Changed {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_text: Option<String>,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    event_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lane: Option<Lane>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, String)>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Child {
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    event_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_text: Option<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Response {
    status: u16,
    /// True if the event is delivered as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    deliver: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_text: Option<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Failed {
    kind: String,
    message: String,
}

impl From<&Result<Outcome, Fault>> for OutcomeJson {
    fn from(result: &Result<Outcome, Fault>) -> Self {
        match result {
            Ok(Outcome::Pass) => Self::Pass,
            Ok(Outcome::Drop { reason }) => Self::Drop(Reason { reason: reason.clone() }),
            Ok(Outcome::Change(change)) => Self::Change(change.into()),
            Ok(Outcome::Split(children)) => Self::Split(children.iter().map(Child::from).collect()),
            Ok(Outcome::Respond(answer)) => {
                let (body, body_text) = body(&answer.body);
                Self::Respond(Response {
                    status: answer.status,
                    deliver: answer.deliver,
                    headers: headers(&answer.headers),
                    body,
                    body_text,
                })
            }
            Err(fault) => {
                Self::Fault(Failed { kind: fault.kind().to_string(), message: fault.message().to_owned() })
            }
        }
    }
}

impl From<&Change> for Changed {
    fn from(change: &Change) -> Self {
        let (body, body_text) = change.body.as_deref().map_or((None, None), body);
        let event_type = change.event_type.clone();
        Self { body, body_text, event_type, lane: change.lane, headers: headers(&change.headers) }
    }
}

impl From<&floodgate_sandbox::Child> for Child {
    fn from(child: &floodgate_sandbox::Child) -> Self {
        let (body, body_text) = body(&child.body);
        Self { event_type: child.event_type.clone(), body, body_text }
    }
}

/// JSON where it is JSON, else text.
fn body(bytes: &[u8]) -> (Option<Value>, Option<String>) {
    match serde_json::from_slice(bytes) {
        Ok(json) => (Some(json), None),
        Err(_) if bytes.is_empty() => (None, None),
        Err(_) => (None, Some(String::from_utf8_lossy(bytes).into_owned())),
    }
}

fn headers(pairs: &[(HeaderName, HeaderValue)]) -> Vec<(String, String)> {
    let text = |(name, value): &(HeaderName, HeaderValue)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    pairs.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn outcomes_take_the_form_that_fixtures_have() {
        let change = Change { body: Some(Bytes::from_static(b"{\"a\": 1}")), ..Change::default() };
        for (outcome, fixture) in [
            (Outcome::Pass, r#""pass""#),
            (Outcome::Drop { reason: "no".into() }, r#"{"drop": {"reason": "no"}}"#),
            (Outcome::Change(change), r#"{"change": {"body": {"a": 1}}}"#),
            (
                Outcome::Split(vec![floodgate_sandbox::Child {
                    event_type: None,
                    body: Bytes::from_static(b"x"),
                }]),
                r#"{"split": [{"body_text": "x"}]}"#,
            ),
        ] {
            let expected: OutcomeJson = serde_json::from_str(fixture).unwrap();
            assert_eq!(OutcomeJson::from(&Ok(outcome)), expected);
        }
        assert!(serde_json::from_str::<OutcomeJson>(r#"{"drop": {"raeson": "no"}}"#).is_err());
    }
}
