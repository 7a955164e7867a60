//! A request to verify, and a message to sign.

use std::fmt;
use std::sync::Arc;

use floodgate_event::{ClientCertificates, Secret};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::Failure;

/// A request as it was received.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method, in upper case.
    pub method: &'a str,
    /// The URL as the sender knows it, with its query.
    pub url: &'a str,
    /// All headers, in the order and with the repeats in which they came.
    pub headers: &'a HeaderMap,
    /// The body's bytes as received, before any decoding.
    pub body: &'a [u8],
    /// When it was received, in Unix seconds.
    pub now: u64,
    /// The keys that providers publish.
    pub published: &'a dyn PublishedKeys,
    /// The certificates of the TLS client that sent it. `None` if it has none, or was not asked for them.
    pub client: Option<&'a ClientCertificates>,
}

/// What was fetched from the addresses where providers publish keys. A scheme asks only for addresses of its
/// own provider. If it gets nothing, it fails with [`Failure::UnknownKey`](crate::Failure::UnknownKey), and
/// the caller may fetch that address and try again.
pub trait PublishedKeys: fmt::Debug + Send + Sync {
    /// Returns what the address published, or `None` if that has not been fetched.
    fn get(&self, url: &str) -> Option<Arc<[u8]>>;
}

/// The HTTP request that gets what an address publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Where to send the request. The caller must not follow redirects, which lead to addresses that nobody
    /// checked.
    pub url: String,
    /// The JSON to POST. `None` for a GET.
    pub post: Option<Secret>,
}

/// A [`PublishedKeys`] without any keys.
#[derive(Clone, Copy, Debug)]
pub struct NoPublishedKeys;

impl PublishedKeys for NoPublishedKeys {
    fn get(&self, _url: &str) -> Option<Arc<[u8]>> {
        None
    }
}

impl<'a> Request<'a> {
    /// Returns the query without its `?`. It is empty if the URL has none.
    pub fn query(&self) -> &'a str {
        let url = self.url.split_once('#').map_or(self.url, |(url, _)| url);
        url.split_once('?').map_or("", |(_, query)| query)
    }

    /// Returns the decoded value of a parameter of the query: the first, if the parameter occurs more than
    /// once.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.query().as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// Returns the value of a parameter that must occur exactly once, as it is in the query, without
    /// decoding.
    pub(crate) fn single_parameter(&self, name: &'static str) -> Result<&'a str, Failure> {
        let pairs = self.query().split('&').filter_map(|pair| pair.split_once('='));
        let mut values = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (None, _) => Err(Failure::missing(format!("`{name}` in the query"))),
            (Some(value), None) => Ok(value),
            (Some(_), Some(_)) => {
                Err(Failure::malformed(format!("`{name}` in the query"), "one such parameter"))
            }
        }
    }
}

/// Returns the URL with this parameter in its query, in place of others of the same name.
pub(crate) fn with_parameter(url: &str, name: &str, value: &str) -> String {
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let is_other = |pair: &&str| !pair.is_empty() && pair.split_once('=').is_none_or(|(key, _)| key != name);
    let pair = format!("{name}={value}");
    let pairs: Vec<&str> = query.split('&').filter(is_other).chain([&*pair]).collect();
    format!("{base}?{}", pairs.join("&"))
}

/// A message to sign as the provider would.
#[derive(Clone, Copy, Debug)]
pub struct Unsigned<'a> {
    /// The method, in upper case.
    pub method: &'a str,
    /// The URL that the request goes to.
    pub url: &'a str,
    /// The headers that the request has already.
    pub headers: &'a HeaderMap,
    /// The bytes to send, before any encoding.
    pub body: &'a [u8],
    /// The id of the message, for schemes that sign one.
    pub id: &'a str,
    /// The time of the signature, in Unix seconds.
    pub now: u64,
}

/// What signing changes in a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signed {
    /// Headers to set, the signature among them.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The new body, for schemes that put the signature inside it.
    pub body: Option<Vec<u8>>,
    /// The new URL, for schemes that put the signature or a hash inside it.
    pub url: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NoPublishedKeys;

    fn single(url: &str) -> Result<String, Failure> {
        let (headers, published) = (&HeaderMap::new(), &NoPublishedKeys);
        let request = Request { method: "POST", url, headers, body: b"", now: 0, published, client: None };
        request.single_parameter("key").map(str::to_owned)
    }

    #[test]
    fn a_single_parameter_is_raw_and_occurs_once() {
        assert_eq!(single("https://a.example/in?x=1&key=a%2B+b=#key=2"), Ok("a%2B+b=".to_owned()));
        for none in ["https://a.example/in", "https://a.example/in?key", "https://a.example/in?xkey=1"] {
            assert!(matches!(single(none), Err(Failure::Missing(_))), "{none}");
        }
        assert!(matches!(single("https://a.example/in?key=1&key=1"), Err(Failure::Malformed { .. })));
    }

    #[test]
    fn a_parameter_replaces_those_of_its_name() {
        for (url, expected) in [
            ("https://a.example/in", "https://a.example/in?key=1"),
            ("https://a.example/in?key=0&x=&&y&key=2#f", "https://a.example/in?x=&y&key=1"),
        ] {
            assert_eq!(with_parameter(url, "key", "1"), expected);
        }
    }
}
