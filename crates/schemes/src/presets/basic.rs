//! Any provider that sends a user and a password by HTTP's Basic authentication. A secret is both of them,
//! with a colon between.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::InvalidSettings;
use crate::clear::{self, Place};
use crate::preset::{Preset, Signing};

pub(super) fn preset() -> Preset {
    let signing =
        Signing::Code(|_, secrets| clear::encoded(vec![Place::Authorization("Basic")], secrets, encode));
    Preset {
        documentation: "https://www.rfc-editor.org/rfc/rfc7617",
        secret_headers: &["authorization"],
        ..Preset::coded("basic", "Basic authentication", signing)
    }
}

/// The first colon ends the user; neither part has control characters (RFC 7617 section 2).
fn encode(secret: &str) -> Result<String, InvalidSettings> {
    if !secret.contains(':') || secret.chars().any(char::is_control) {
        return Err(InvalidSettings::Key("`user:password`"));
    }
    Ok(BASE64.encode(secret))
}
