//! The operator's settings for the scheme of a source. `floodgate-schemes` has the presets, and verifies.

mod template;

use serde::{Deserialize, Serialize};

pub use self::template::{Algorithm, Encoding, Form, KeyFormat, Template, Timestamp, TimestampAt, Unit};

/// What a scheme needs to know besides its secrets. Each scheme uses some of these settings, and a source
/// with any other is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How far a signed time may be from now, in seconds, in either direction. Documents and snapshots have
    /// it in a field beside the settings.
    #[serde(skip)]
    pub tolerance_seconds: Option<u64>,
    /// The public keys of a provider that signs with private keys. They are not secrets. For Plaid each is a
    /// JSON Web Key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub public_keys: Vec<String>,
    /// The URL that the provider was given, without its query, for schemes that sign it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The header that carries the secret, for the schemes `api-key` and `okta`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// The id that PayPal gave the webhook, and signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_id: Option<String>,
    /// The topics of Amazon SNS whose messages are accepted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub topic_arns: Vec<String>,
    /// Makes Floodgate confirm subscriptions of these topics by itself. Without it the request to confirm is
    /// an event like any other, and the body has the address to open.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub confirm_subscriptions: bool,
    /// The address where the issuer of tokens publishes its keys (a JWK set), for the scheme `jwt`. For
    /// Plaid: the address of the sandbox's keys, if the source is for the sandbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<String>,
    /// The `iss` that a token must have, for the scheme `jwt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The audience that the `aud` of a token must be or contain, for the scheme `jwt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// The `sub` that a token must have, for the scheme `jwt`. An issuer with many customers, such as
    /// Google or Microsoft, gives each of them tokens for any audience. Only this setting tells them apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The networks that may send, such as `203.0.113.0/24`. If the list is empty, every address may send.
    /// For any scheme. The scheme `none` needs it, or `unverified`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// The certificates of the authorities that sign the certificates of clients, one in PEM each. If there
    /// are any, a request must come over a TLS connection whose client has such a certificate, with one of
    /// `client_names`. For any scheme. The scheme `mtls` asks for nothing else.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub client_ca: Vec<String>,
    /// The clients that may send, of which a certificate must name one: `DNS:sender.example`,
    /// `URI:spiffe://sender.example/hooks`, `email:hooks@sender.example` (subject alternative names), or
    /// `SHA256:` and the digest of the client's own certificate in hex. Needed if there is `client_ca`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub client_names: Vec<String>,
    /// Accepts requests from anyone, for the scheme `none` without `allow`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unverified: bool,
    /// The text that Meta repeats in its handshake, when the operator subscribes an endpoint. It signs
    /// nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify_token: Option<String>,
    /// How requests are signed, for the scheme `signed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<Template>,
}

impl Settings {
    /// The most public keys.
    pub const MAX_PUBLIC_KEYS: usize = 10;
    /// The most entries of `allow`.
    pub const MAX_NETWORKS: usize = 256;
    /// The most entries of `topic_arns`.
    pub const MAX_TOPICS: usize = 100;
    /// The most certificates in `client_ca`.
    pub const MAX_CLIENT_CA: usize = 10;
    /// The most entries of `client_names`.
    pub const MAX_CLIENT_NAMES: usize = 100;
    /// The longest public key or certificate, in bytes.
    pub const MAX_KEY_BYTES: usize = 8 * 1024;
    /// The longest value of any other setting, in bytes.
    pub const MAX_TEXT_BYTES: usize = 1024;

    /// Returns true if nothing is set but the tolerance.
    pub fn is_empty(&self) -> bool {
        *self == Self { tolerance_seconds: self.tolerance_seconds, ..Self::default() }
    }
}
