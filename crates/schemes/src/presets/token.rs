//! Own applications, which send a bearer token ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750) section
//! 2.1). A request may have several events, each with its id and its type.

use crate::InvalidSettings;
use crate::clear::{self, Place};
use crate::preset::{At, Preset, Signing};

/// The fewest characters of a token: 128 random bits in hexadecimal digits. The token alone finds the source,
/// so it must not be a word that somebody can guess.
const LEAST_CHARACTERS: usize = 32;

pub(super) fn preset() -> Preset {
    let signing =
        Signing::Code(|_, secrets| clear::encoded(vec![Place::Authorization("Bearer")], secrets, check));
    Preset {
        documentation: "https://www.rfc-editor.org/rfc/rfc6750",
        id: Some(At::Json("/id")),
        event_type: Some(At::Json("/type")),
        own_applications: true,
        secret_headers: &["authorization"],
        words: |_| {
            vec![
                ("header", "authorization: Bearer <token>".to_owned()),
                ("key", "the text of the token as it is".to_owned()),
                ("signed", "nothing: the request carries the token itself".to_owned()),
            ]
        },
        ..Preset::coded("token", "Own applications", signing)
    }
}

fn check(token: &str) -> Result<String, InvalidSettings> {
    if token.len() < LEAST_CHARACTERS || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(InvalidSettings::Key("a token of at least 32 letters, digits and signs of ASCII"));
    }
    Ok(token.to_owned())
}
