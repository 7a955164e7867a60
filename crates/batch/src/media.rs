//! Which content types carry events.

use floodgate_json::without_bom;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

use crate::{UnsupportedMedia, cloud_event};

/// The content types that carry events. CloudEvents in binary mode may have any.
pub const MEDIA_TYPES: &str = "application/json, application/x-ndjson, \
    application/cloudevents+json, application/cloudevents-batch+json";

/// How a request carries its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// One object, or an array of objects.
    Json,
    /// Objects, one a line ([NDJSON](https://github.com/ndjson/ndjson-spec)).
    NdJson,
    /// One CloudEvent in structured mode.
    CloudEvent,
    /// An array of CloudEvents in structured mode.
    CloudEvents,
    /// One CloudEvent in binary mode: its attributes are headers, and the body is its data.
    CloudEventHeaders,
}

impl Media {
    /// Reads the headers of a request. By the
    /// [HTTP binding](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md)
    /// of CloudEvents the content type decides first, and then whether there are attributes.
    ///
    /// # Errors
    /// If the content type is none of [`MEDIA_TYPES`] and there are no attributes, or its charset is not
    /// UTF-8.
    pub fn of(headers: &HeaderMap) -> Result<Self, UnsupportedMedia> {
        let mut values = headers.get_all(CONTENT_TYPE).iter();
        let content_type = match (values.next(), values.next()) {
            (None, _) => ContentType::default(),
            (Some(value), None) => ContentType::of(value).ok_or(UnsupportedMedia)?,
            (Some(_), Some(_)) => return Err(UnsupportedMedia),
        };
        let media = match &*content_type.essence {
            "application/cloudevents+json" => Self::CloudEvent,
            "application/cloudevents-batch+json" => Self::CloudEvents,
            // Formats of CloudEvents other than JSON.
            essence if essence.starts_with("application/cloudevents") => return Err(UnsupportedMedia),
            _ if cloud_event::is_in(headers) => return Ok(Self::CloudEventHeaders),
            "application/json" => Self::Json,
            "application/x-ndjson" => Self::NdJson,
            _ => return Err(UnsupportedMedia),
        };
        if content_type.is_utf_8 { Ok(media) } else { Err(UnsupportedMedia) }
    }

    /// Returns true if a body of this kind may hold several events.
    pub(crate) fn is_batch(self, body: &[u8]) -> bool {
        match self {
            Self::Json => without_bom(body).trim_ascii_start().first() == Some(&b'['),
            Self::NdJson | Self::CloudEvents => true,
            Self::CloudEvent | Self::CloudEventHeaders => false,
        }
    }

    /// The content type of one event of a batch.
    pub const fn of_one(self) -> &'static str {
        match self {
            Self::CloudEvent | Self::CloudEvents => "application/cloudevents+json",
            Self::Json | Self::NdJson | Self::CloudEventHeaders => "application/json",
        }
    }
}

/// A content type, as far as it matters here.
struct ContentType {
    /// Type and subtype, in lower case.
    essence: String,
    /// False if it names another charset.
    is_utf_8: bool,
}

impl Default for ContentType {
    fn default() -> Self {
        Self { essence: String::new(), is_utf_8: true }
    }
}

impl ContentType {
    fn of(value: &HeaderValue) -> Option<Self> {
        let mut parts = value.to_str().ok()?.split(';').map(str::trim);
        let essence = parts.next()?.to_ascii_lowercase();
        let charset = parts.filter_map(|part| part.split_once('=')).find_map(|(name, value)| {
            name.trim_end().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
        });
        // ASCII is UTF-8.
        let is_utf_8 = charset.is_none_or(|charset| {
            ["utf-8", "utf8", "us-ascii"].iter().any(|known| charset.eq_ignore_ascii_case(known))
        });
        Some(Self { essence, is_utf_8 })
    }
}
