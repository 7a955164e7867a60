use std::cell::OnceCell;

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

    /// The body read as JSON.
    ///
    /// # Errors
    /// If it is not JSON, or not a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// When it was received: Unix time in microseconds.
    pub fn received_at_us(&self) -> u64 {
        self.received_at_us
    }
}
