//! An answer to a handshake.

use floodgate_event::Secret;
use serde_json::Value;

/// The response that the provider expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status that the provider expects.
    pub status: u16,
    /// Headers, by their lower-case names; `content-type` among them if there is a body.
    pub headers: Vec<(&'static str, String)>,
    /// The body; empty if the provider wants none.
    pub body: Vec<u8>,
    /// What else the handshake asks for.
    pub note: Option<Note>,
}

/// What a handshake asks for besides its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The provider chose this secret, which an operator has to store with the source.
    Secret(Secret),
    /// Fetching this address confirms the subscription. The address is one of the provider's.
    Confirm(String),
}

impl Answer {
    /// How many bytes it holds: those of its body and of its headers.
    pub fn bytes(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len());
        self.body.len() + headers.sum::<usize>()
    }

    /// Answers 200 with a text. The sender chose the text, so a browser must not take it for a page.
    pub(crate) fn text(text: impl Into<Vec<u8>>) -> Self {
        let headers = [("content-type", "text/plain"), ("x-content-type-options", "nosniff")];
        Self {
            status: 200,
            headers: headers.map(|(name, value)| (name, value.to_owned())).to_vec(),
            body: text.into(),
            note: None,
        }
    }

    /// Answers 200 with JSON.
    pub(crate) fn json(value: &Value) -> Self {
        let mut answer = Self::text(value.to_string());
        answer.headers[0].1 = "application/json".to_owned();
        answer
    }

    /// Answers with this status and no body.
    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: vec![], body: vec![], note: None }
    }
}
