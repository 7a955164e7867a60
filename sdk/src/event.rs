use std::cell::OnceCell;

use floodgate_json::{Edit, EditError};
use serde::de::DeserializeOwned;

use crate::{Builder, Lane};

/// A webhook whose signature was checked, as the handlers before this one left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub(crate) id: String,
    pub(crate) tenant: String,
    pub(crate) source: String,
    pub(crate) event_type: String,
    pub(crate) provider_id: String,
    pub(crate) region: String,
    pub(crate) lane: Lane,
    /// Within a gateway asked for when it is first read.
    pub(crate) request: OnceCell<Request>,
    pub(crate) body: Vec<u8>,
    pub(crate) received_at_us: u64,
}

/// The seldom read rest of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

impl Event {
    /// Makes an event for a test.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// `evt_` and 26 characters; the same for every copy of the event, in every region.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whose source it came through.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// The source that it came through.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What the provider calls this kind of event, such as `invoice.paid`; empty where it says nothing.
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// The provider's own id; empty if it sent none.
    pub fn provider_id(&self) -> &str {
        &self.provider_id
    }

    /// The region that received it.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The lane that it is in.
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// The request's method.
    pub fn method(&self) -> &str {
        &self.request().method
    }

    /// The request's path.
    pub fn path(&self) -> &str {
        &self.request().path
    }

    /// The request's query, without the `?`.
    pub fn query(&self) -> &str {
        &self.request().query
    }

    /// All header pairs: the request's, then those that earlier handlers added.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.request().headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// The first header of this name, in whatever case, if its value is text.
    ///
    /// ```
    /// let event = floodgate_sdk::Event::builder().header("X-GitHub-Event", "push").build();
    /// assert_eq!(event.header("x-github-event"), Some("push"));
    /// ```
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers().find(|(candidate, _)| candidate.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    fn request(&self) -> &Request {
        #[cfg(target_arch = "wasm32")]
        return self.request.get_or_init(crate::glue::request);
        #[cfg(not(target_arch = "wasm32"))]
        self.request.get_or_init(Request::default)
    }

    /// The body, after content decoding.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body read as JSON, for looking at it: what is made of the result again may differ where nobody
    /// meant to change anything, as floats and the order of keys may. To change a body there is
    /// [`edit`](Self::edit).
    ///
    /// A byte order mark is passed over, and text that Unicode has no characters for, such as half of a
    /// surrogate pair, reads as U+FFFD.
    ///
    /// # Errors
    /// If it is not JSON, or not a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        let body = floodgate_json::without_bom(&self.body);
        serde_json::from_slice(body).or_else(|error| match floodgate_json::lossy(body) {
            Some(text) => serde_json::from_str(&text),
            None => Err(error),
        })
    }

    /// The body, to change a part of it: every other byte stays as it is.
    ///
    /// ```
    /// use floodgate_sdk::{EditError, Event, Outcome};
    ///
    /// fn handle(event: &Event) -> Result<Outcome, EditError> {
    ///     let mut order = event.edit()?;
    ///     order.remove("/customer")?;
    ///     order.set("/region", event.region())?;
    ///     Ok(Outcome::change().body(order).into())
    /// }
    ///
    /// let event = Event::builder().body(r#"{"total": 1.10, "customer": "Ada"}"#).build();
    /// let expected = Outcome::change().body(r#"{"total": 1.10,"region":"test"}"#);
    /// assert_eq!(handle(&event)?, expected.into());
    /// # Ok::<(), EditError>(())
    /// ```
    ///
    /// # Errors
    /// If it is not JSON.
    pub fn edit(&self) -> Result<Edit, EditError> {
        Edit::new(&self.body)
    }

    /// When it was received: Unix time in microseconds.
    pub fn received_at_us(&self) -> u64 {
        self.received_at_us
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn json_of(body: &[u8]) -> Result<Value, serde_json::Error> {
        Event::builder().body(body).build().json()
    }

    #[test]
    fn odd_text_does_not_hide_the_rest() {
        assert_eq!(json_of(b"\xef\xbb\xbf{\"a\": 1}").unwrap(), json!({"a": 1}));
        assert_eq!(json_of(br#"{"a": "\ud83d", "b": 1}"#).unwrap(), json!({"a": "\u{fffd}", "b": 1}));
        assert_eq!(json_of(b"{\"caf\xe9\": 1}").unwrap(), json!({"caf\u{fffd}": 1}));
        assert!(json_of(b"a=b").is_err() && json_of(b"{\"a\": \"\\ud83d\"").is_err());
    }

    #[test]
    fn an_edit_keeps_what_it_is_not_about() {
        let body = b"\xef\xbb\xbf{\"n\": 117.63331139400017, \"s\": \"\\ud83d\", \"l\": \"\xe9\"}";
        let mut edit = Event::builder().body(&body[..]).build().edit().unwrap();
        edit.set("/r", "eu").unwrap();
        let expected = b"{\"n\": 117.63331139400017, \"s\": \"\\ud83d\", \"l\": \"\xe9\",\"r\":\"eu\"}";
        assert_eq!(edit.as_bytes(), expected);
    }
}
