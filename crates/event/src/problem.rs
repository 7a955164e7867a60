//! Errors as [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem documents. Codes are part of the
//! interface; each always goes with the same status.

use serde::{Deserialize, Serialize};

/// The media type of a problem document.
pub const CONTENT_TYPE: &str = "application/problem+json";

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $status:literal, $title:literal;)*) => {
        /// What went wrong, as a client can tell it apart.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ProblemCode { $($(#[$doc])* $variant,)* }

        impl ProblemCode {
            /// Every code, in the order of its status.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the last part of the `type` of a problem document of this code.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $code,)* } }
            /// Returns the HTTP status that a problem of this code is sent with.
            pub const fn status(self) -> u16 { match self { $(Self::$variant => $status,)* } }
            /// Returns the `title` of a problem document of this code.
            pub const fn title(self) -> &'static str { match self { $(Self::$variant => $title,)* } }
        }
    };
}

codes! {
    /// The request cannot be read.
    Malformed = "malformed", 400, "Malformed request";
    /// Bad, missing or stale signature; deliberately no more than that.
    SignatureRefused = "signature-refused", 401, "Signature refused";
    /// No, or no valid, bearer token.
    Unauthorized = "unauthorized", 401, "Unauthorized";
    /// There is no such source, event, destination, handler or path.
    NotFound = "not-found", 404, "Not found";
    /// The path does not take this method.
    MethodNotAllowed = "method-not-allowed", 405, "Method not allowed";
    /// The request took too long to arrive.
    RequestTimeout = "request-timeout", 408, "Request timed out";
    /// Something else changed first, or still depends on this.
    Conflict = "conflict", 409, "Conflict";
    /// `If-Match` or `If-None-Match` does not hold.
    PreconditionFailed = "precondition-failed", 412, "Precondition failed";
    /// The body is over the limit, as sent or decompressed.
    TooLarge = "too-large", 413, "Body too large";
    /// The request target is longer than is taken.
    UriTooLong = "uri-too-long", 414, "Request target too long";
    /// A content encoding that is not taken.
    UnsupportedEncoding = "unsupported-encoding", 415, "Unsupported content encoding";
    /// A content type that does not carry events.
    UnsupportedMediaType = "unsupported-media-type", 415, "Unsupported content type";
    /// An expectation (`Expect`) that is not met.
    ExpectationFailed = "expectation-failed", 417, "Expectation failed";
    /// A document that is well-formed and wrong.
    Invalid = "invalid", 422, "Invalid document";
    /// An event of a type that the source does not list.
    TypeRefused = "type-refused", 422, "Event type refused";
    /// The source's rate limit.
    RateLimited = "rate-limited", 429, "Too many requests";
    /// The request line and headers are over the limit, in bytes or in number.
    HeadersTooLarge = "headers-too-large", 431, "Request headers too large";
    /// Something broke that the client has no part in.
    Internal = "internal", 500, "Internal error";
    /// A handler failed and its policy is `reject`.
    HandlerFault = "handler-fault", 500, "Handler failed";
    /// A part of HTTP that is not served here.
    NotImplemented = "not-implemented", 501, "Not implemented";
    /// The event cannot be made durable now; send it again.
    Unavailable = "unavailable", 503, "Not available";
}

/// The body of an error response: a problem document of RFC 9457.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(utoipa::ToSchema, utoipa::ToResponse),
    schema(description = "An RFC 9457 problem document."),
    response(description = "An RFC 9457 problem document", content_type = "application/problem+json")
)]
pub struct Problem {
    /// `urn:floodgate:problem:` and the code.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "schema", schema(examples("urn:floodgate:problem:not-found")))]
    pub kind: String,
    /// The code in words.
    pub title: String,
    /// The HTTP status of the response.
    pub status: u16,
    /// What was wrong, where, and what is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(nullable = false))]
    pub detail: Option<String>,
}

impl Problem {
    /// Makes a document without `detail`.
    pub fn new(code: ProblemCode) -> Self {
        Self {
            kind: format!("urn:floodgate:problem:{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            detail: None,
        }
    }

    /// Makes a document whose `detail` says what was wrong. It must not contain secrets.
    pub fn with_detail(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..Self::new(code) }
    }
}
