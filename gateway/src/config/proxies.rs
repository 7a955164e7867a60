//! The `[proxies]` table: who may tell the address of a sender, and how.

use floodgate_listen::ForwardedField;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most networks. Each address is compared with all of them.
const MAX_TRUSTED: usize = 256;

/// The proxies in front of the senders' port.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Proxies {
    /// The networks that your balancers and proxies connect from: what they say of a sender's address is
    /// believed. Name no network that senders connect from themselves, or they can claim any address.
    #[schemars(
        with = "Vec<String>",
        length(max = MAX_TRUSTED),
        example = ["10.0.0.0/8"],
        extend("x-type" = "list of networks")
    )]
    trusted: Vec<IpNet>,
    /// With `"proxy"` each connection from a trusted network must begin with a header of the PROXY protocol,
    /// version 1 or 2, and a connection from any other network must not. The header must arrive within
    /// `limits.tls_handshake_seconds`, and may have 107 bytes (version 1) or 232 bytes (version 2). A
    /// connection that breaks one of these rules is closed.
    #[schemars(example = &"proxy")]
    protocol: Protocol,
    /// The header of requests in which trusted proxies name the sender: `"x-forwarded-for"` or `"forwarded"`
    /// (RFC 7239). The right-most address that is not in a trusted network counts, of the last 32. An entry
    /// that is not an address ends the search at the one after it. The proxies must add to this header, or
    /// replace it. They end TLS, so this goes with `plaintext = true` or with TLS between them and the
    /// gateway.
    #[schemars(example = &"x-forwarded-for")]
    forwarded: Forwarded,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Protocol {
    #[default]
    None,
    Proxy,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Forwarded {
    #[default]
    None,
    XForwardedFor,
    #[serde(rename = "forwarded")]
    Rfc7239,
}

/// A setting that is wrong, and why.
type Wrong = (&'static str, String);

impl Proxies {
    /// Checks that the settings are of use together.
    pub(super) fn checked(self) -> Result<floodgate_listen::Proxies, Wrong> {
        let forwarded = match self.forwarded {
            Forwarded::None => None,
            Forwarded::XForwardedFor => Some(ForwardedField::XForwardedFor),
            Forwarded::Rfc7239 => Some(ForwardedField::Forwarded),
        };
        let protocol = self.protocol == Protocol::Proxy;
        let tells = protocol || forwarded.is_some();
        let reason = match self.trusted.len() {
            0 if tells => "expected the networks of the proxies, because `protocol` or `forwarded` is set",
            1.. if !tells => "nothing uses it: set `protocol` or `forwarded` as well",
            many if many > MAX_TRUSTED => "expected at most 256 networks",
            _ => return Ok(floodgate_listen::Proxies { trusted: self.trusted, protocol, forwarded }),
        };
        Err(("proxies.trusted", reason.to_owned()))
    }
}
