use std::cell::OnceCell;

use floodgate_json::{Edit, EditError};
use serde::de::DeserializeOwned;

use crate::host;
use crate::lane::Lane;
use crate::request::Request;

/// A webhook that a handler decides about. The gateway has checked its signature and stored nothing of it
/// yet. In a chain of handlers, each sees what the ones before it made of the event.
///
/// Tests make events with [`Event::builder`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub(crate) id: String,
    pub(crate) tenant: String,
    pub(crate) source: String,
    pub(crate) event_type: String,
    pub(crate) provider_id: String,
    pub(crate) region: String,
    pub(crate) lane: Lane,
    /// Within a gateway, copied when it is first read.
    pub(crate) request: OnceCell<Request>,
    pub(crate) body: Vec<u8>,
    pub(crate) received_at_us: u64,
}

impl Event {
    /// Returns the event's id: `evt_` and 26 characters. Every copy of the event has the same id, in every
    /// region, and consumers get it as `webhook-id`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the tenant that the source belongs to; `default` if the source names none.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Returns the name of the source that received the event, as in `/in/{source}`.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns what the provider calls this kind of event, such as `invoice.paid`. Empty if the provider
    /// names none.
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// Returns the provider's own id of the event. Empty if the provider sent none.
    pub fn provider_id(&self) -> &str {
        &self.provider_id
    }

    /// Returns the name of the region that received the event.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Returns the lane that the event will wait in, unless a handler changes it.
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// Returns the method of the provider's request, such as `POST`.
    pub fn method(&self) -> &str {
        &self.request().method
    }

    /// Returns the path of the provider's request, such as `/in/stripe`.
    pub fn path(&self) -> &str {
        &self.request().path
    }

    /// Returns the query of the provider's request, without the `?`. Empty if there was none.
    pub fn query(&self) -> &str {
        &self.request().query
    }

    /// Returns all headers as pairs of name and value: first those of the provider's request, without the
    /// ones that carry a secret in clear, then those that earlier handlers added. A name may occur more than
    /// once, and a value need not be text.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.request().headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// Returns the value of the first header of this name, which is compared without regard to case. `None`
    /// if there is no such header, or its value is not UTF-8.
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
        self.request.get_or_init(host::request)
    }

    /// Returns the body after content decoding, so a compressed body is decompressed. At most the source's
    /// `max_body_bytes`, which is 3 MiB or less.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Reads the body as JSON. This is for reading only: writing the result again may round floats and sort
    /// keys that the handler did not touch. To change a body, use [`edit`](Self::edit).
    ///
    /// A byte order mark is ignored. Bytes that are not UTF-8, and halves of surrogate pairs, are read as
    /// U+FFFD.
    ///
    /// # Errors
    /// If the body is not JSON, or does not have the form of a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        let body = floodgate_json::without_bom(&self.body);
        serde_json::from_slice(body).or_else(|error| match floodgate_json::lossy(body) {
            Some(text) => serde_json::from_str(&text),
            None => Err(error),
        })
    }

    /// Begins to edit the body as JSON. Every byte that no edit touches stays as it came.
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
    /// If the body is not JSON.
    pub fn edit(&self) -> Result<Edit, EditError> {
        Edit::new(&self.body)
    }

    /// Returns the time at which the gateway received the event: Unix time in microseconds. The clocks of
    /// `std::time` show this time throughout, if `grants.clock` is given.
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
