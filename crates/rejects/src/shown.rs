//! What a row shows of a request: enough to find the mistake, and no credential.

use std::fmt::Display;

use bytes::Bytes;
use floodgate_event::proto::{Header, Request};
use floodgate_event::reject::{
    MASK, MAX_BODY_BYTES, MAX_HEADER_BYTES, MAX_HEADERS, MAX_REASON, MAX_UNKNOWN_HEADER_BYTES,
    MAX_VALUE_BYTES,
};
use http::HeaderMap;
use http::request::Parts;

/// Parts of names whose values may be a credential. Whoever sends it under a wrong name, or to a source that
/// does not exist, must not find it in the record.
const TELLING: [&str; 12] = [
    "auth",
    "bearer",
    "cookie",
    "credential",
    "jwt",
    "key",
    "otp",
    "pass",
    "pwd",
    "secret",
    "session",
    "token",
];
/// Headers whose values are shown of a request that names no source: nobody knows what its others carry.
const HARMLESS: [&str; 7] = [
    "accept",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
    "user-agent",
];
/// What a cut value ends with.
const ELLIPSIS: &str = "…";

/// What may be shown of a source's requests.
#[derive(Clone, Copy)]
pub struct Shown<'s> {
    /// The headers that the source's scheme knows to carry a secret in clear.
    pub is_secret: &'s dyn Fn(&str) -> bool,
    /// The parameters that do.
    pub secret_parameters: &'s [&'s str],
    /// True if the request names a source of the region.
    pub is_known: bool,
    /// True if the body may be shown. A source that drops the signed bytes wants them nowhere.
    pub body: bool,
}

impl Shown<'_> {
    /// For requests that name no source.
    pub const UNKNOWN: Self =
        Self { is_secret: &|_| false, secret_parameters: &[], is_known: false, body: false };

    /// Describes a request, as far as it arrived.
    pub fn request(&self, parts: &Parts, body: &[u8]) -> Request {
        let start = &body[..body.len().min(MAX_BODY_BYTES)];
        let is_shown = self.body && !start.is_empty();
        Request {
            method: cut(parts.method.as_str()),
            path: cut(parts.uri.path()),
            query: cut(&self.query(parts.uri.query().unwrap_or_default())),
            remote_address: String::new(),
            headers: self.headers(&parts.headers),
            raw: is_shown.then(|| Bytes::copy_from_slice(start)),
        }
    }

    fn headers(&self, headers: &HeaderMap) -> Vec<Header> {
        let mut room = if self.is_known { MAX_HEADER_BYTES } else { MAX_UNKNOWN_HEADER_BYTES };
        let mut shown = Vec::new();
        for (name, value) in headers.iter().take(MAX_HEADERS) {
            let header =
                Header { value: self.value(name.as_str(), value.as_bytes()), name: cut(name.as_str()) };
            let Some(rest) = room.checked_sub(header.name.len() + header.value.len()) else { break };
            room = rest;
            shown.push(header);
        }
        shown
    }

    /// The value of a header. What looks like a URL loses its query, in which a secret may stand.
    fn value(&self, name: &str, value: &[u8]) -> Bytes {
        let is_masked = match self.is_known {
            true => (self.is_secret)(name) || is_telling(name),
            false => !HARMLESS.contains(&name),
        };
        if is_masked {
            return Bytes::from_static(MASK.as_bytes());
        }
        match value.iter().position(|byte| *byte == b'?') {
            Some(query) if value.contains(&b'/') => cut_bytes(&[&value[..=query], MASK.as_bytes()].concat()),
            _ => cut_bytes(value),
        }
    }

    /// The query. Of a request that names no source, nobody knows which values are secret.
    fn query(&self, query: &str) -> String {
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, _)) if !self.is_known || self.is_secret_parameter(name) => format!("{name}={MASK}"),
            // Without a name, nobody knows what it is.
            None if !pair.is_empty() => MASK.to_owned(),
            _ => pair.to_owned(),
        });
        pairs.collect::<Vec<_>>().join("&")
    }

    fn is_secret_parameter(&self, encoded: &str) -> bool {
        let mut parsed = url::form_urlencoded::parse(encoded.as_bytes());
        let name = parsed.next().map_or_else(String::new, |(name, _)| name.into_owned());
        self.secret_parameters.contains(&&*name) || is_telling(&name)
    }
}

/// A text of at most [`MAX_REASON`] characters.
pub fn reason(why: impl Display) -> String {
    let mut text = why.to_string();
    if let Some((end, _)) = text.char_indices().nth(MAX_REASON) {
        text.truncate(end);
    }
    text
}

fn is_telling(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    TELLING.iter().any(|part| name.contains(part))
}

fn cut(text: &str) -> String {
    match text.len() > MAX_VALUE_BYTES {
        true => format!("{}{ELLIPSIS}", &text[..text.floor_char_boundary(MAX_VALUE_BYTES)]),
        false => text.to_owned(),
    }
}

fn cut_bytes(value: &[u8]) -> Bytes {
    match value.split_at_checked(MAX_VALUE_BYTES) {
        Some((start, [_, ..])) => [start, ELLIPSIS.as_bytes()].concat().into(),
        _ => Bytes::copy_from_slice(value),
    }
}

#[cfg(test)]
mod tests {
    use floodgate_event::format::Versioned as _;
    use floodgate_event::proto::Reject;
    use floodgate_event::reject::{block, new_id};

    use super::*;

    fn parts(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::post(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn credentials_are_masked_also_under_a_wrong_name() {
        let headers = [
            ("authorization", "Basic c2VjcmV0"),
            ("x-gitlab-token", "secret"),
            ("x-api-key", "secret"),
            ("cookie", "secret"),
            ("x-custom", "secret"),
            ("x-hub-signature-256", "sha256=0f"),
            ("x-original-url", "/in/stripe?pin=secret"),
        ];
        let parts = parts("/in/stripe?token=secret&a=1&%74oken=secret&pin=secret&secret", &headers);
        let is_secret = |name: &str| name == "x-custom";
        let shown = Shown { is_secret: &is_secret, secret_parameters: &["pin"], is_known: true, body: true };
        let request = shown.request(&parts, b"{}");
        assert_eq!(request.query, "token=***&a=1&%74oken=***&pin=***&***");
        let masked = request.headers.iter().filter(|header| header.value == MASK).count();
        assert_eq!(masked, 5, "{:?}", request.headers);
        assert_eq!(request.headers[5].value, "sha256=0f", "a signature tells no secret");
        assert_eq!(request.headers[6].value, "/in/stripe?***");
        assert!(!format!("{request:?}").contains("secret"));
    }

    #[test]
    fn of_a_request_to_nobody_only_harmless_headers_are_shown() {
        let parts = parts("/in/stripd?code=secret", &[("x-hook-id", "secret"), ("user-agent", "curl")]);
        let request = Shown::UNKNOWN.request(&parts, b"");
        let values: Vec<_> = request.headers.iter().map(|header| &*header.value).collect();
        assert_eq!(values, [MASK.as_bytes(), b"curl"]);
        assert_eq!(request.query, "code=***");
    }

    #[test]
    fn a_row_is_short() {
        let long = "ü".repeat(10_000);
        let mut parts = parts(&format!("/{}", "a".repeat(10_000)), &[]);
        for number in 0..100 {
            let name: http::HeaderName = format!("x-{number}").parse().unwrap();
            parts.headers.insert(name, long.parse().unwrap());
        }
        for (is_known, most) in [(true, MAX_HEADER_BYTES), (false, MAX_UNKNOWN_HEADER_BYTES)] {
            let request = Shown { body: true, is_known, ..Shown::UNKNOWN }.request(&parts, long.as_bytes());
            let bytes: usize =
                request.headers.iter().map(|header| header.name.len() + header.value.len()).sum();
            assert!((1..=most).contains(&bytes), "{bytes} bytes of headers");
            assert_eq!(request.raw.as_ref().map(|raw| raw.len()), Some(MAX_BODY_BYTES));
            assert_eq!(request.path.len(), MAX_VALUE_BYTES + ELLIPSIS.len());
            let row =
                Reject { id: new_id(), reason: reason(&long), request: Some(request), ..Reject::default() };
            assert!(block("eu", "eu-1", vec![row]).check().is_ok(), "what is written can be read");
        }
        assert_eq!(reason(&long).chars().count(), MAX_REASON);
    }

    #[test]
    fn a_body_that_is_not_kept_is_not_shown() {
        let request = Shown::UNKNOWN.request(&parts("/in/x", &[]), b"{}");
        assert_eq!(request.raw, None);
    }
}
