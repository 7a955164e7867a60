//! Schemes that send the secret itself. They sign nothing: whoever sees one request can send any other.

use std::borrow::Cow;

use floodgate_event::source::Locator;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::header::{same, single};
use crate::keys::{self, Named, Secrets};
use crate::request::with_parameter;
use crate::verify::Verify;
use crate::{Failure, InvalidSettings, Request, Signed, Unsigned, template};

/// Where a request carries the secret.
pub(crate) enum Place {
    /// The value of this header.
    Header(HeaderName),
    /// The header `Authorization`, after the name of an authentication scheme.
    Authorization(&'static str),
    /// This parameter of the query, percent-encoded
    /// ([RFC 3986](https://www.rfc-editor.org/rfc/rfc3986) section 2.1). A `+` stays a plus, because secrets
    /// contain a plus more often than a space.
    Parameter(&'static str),
}

struct Clear {
    /// [`Verify::sign`] uses the first one.
    places: Vec<Place>,
    keys: Vec<Named<String>>,
}

/// Prepares a scheme whose requests carry a secret in one of these places.
///
/// # Errors
/// If there is no secret.
pub(crate) fn prepare(places: Vec<Place>, secrets: &Secrets) -> Result<Box<dyn Verify>, InvalidSettings> {
    encoded(places, secrets, |text| Ok(text.to_owned()))
}

/// Like [`prepare`], for requests that carry the secret in another encoding.
///
/// # Errors
/// If there is no secret, or a secret cannot be encoded.
pub(crate) fn encoded(
    places: Vec<Place>,
    secrets: &Secrets,
    encode: impl Fn(&str) -> Result<String, InvalidSettings>,
) -> Result<Box<dyn Verify>, InvalidSettings> {
    Ok(Box::new(Clear { places, keys: keys::prepare(secrets, encode)? }))
}

/// Prepares a scheme whose requests carry a secret in this header.
///
/// # Errors
/// If there is no secret, no header can have this name, or [`single`] would refuse a header with this secret.
pub(crate) fn in_header(name: &str, secrets: &Secrets) -> Result<Box<dyn Verify>, InvalidSettings> {
    let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| InvalidSettings::Setting {
        setting: "header",
        why: format!("`{name}` is not the name of a header"),
    })?;
    let is_visible = |text: &str| text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    encoded(vec![Place::Header(header)], secrets, |text| match is_visible(text) {
        true => Ok(text.to_owned()),
        false => Err(InvalidSettings::Key("a secret of visible ASCII, because a header carries it")),
    })
}

impl Verify for Clear {
    fn require(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let in_query = self.places.iter().any(|place| matches!(place, Place::Parameter(_)));
        match self.places.iter().find_map(|place| place.in_headers(headers)) {
            Some(secret) => secret.map(drop),
            None if in_query => Ok(()),
            None => Err(self.missing()),
        }
    }

    fn verify(&self, request: &Request<'_>) -> Result<&str, Failure> {
        let mut found = self.places.iter().filter_map(|place| place.secret(request));
        let theirs = match (found.next(), found.next()) {
            (None, _) => return Err(self.missing()),
            (Some(secret), None) => secret?,
            (Some(_), Some(_)) => return Err(Failure::malformed("the secret", "it in one place")),
        };
        keys::find(&self.keys, |ours| same(ours.as_bytes(), &theirs))
    }

    /// Whoever knows the secret can send anything, so no part of a request is less covered than another.
    fn covers(&self, _locator: &Locator) -> bool {
        true
    }

    fn secret_header(&self) -> Option<&str> {
        self.places.iter().find_map(|place| match place {
            Place::Header(name) => Some(name.as_str()),
            Place::Authorization(_) => Some(AUTHORIZATION.as_str()),
            Place::Parameter(_) => None,
        })
    }

    fn sign(&self, message: &Unsigned<'_>) -> Option<Signed> {
        let secret = &self.keys.first()?.key;
        match self.places.first()? {
            Place::Header(name) => template::headers(vec![(name.to_string(), secret.clone())]),
            Place::Authorization(scheme) => {
                template::headers(vec![(AUTHORIZATION.to_string(), format!("{scheme} {secret}"))])
            }
            Place::Parameter(name) => {
                let value = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
                let url = Some(with_parameter(message.url, name, &value));
                Some(Signed { url, ..Signed::default() })
            }
        }
    }
}

impl Clear {
    fn missing(&self) -> Failure {
        let names: Vec<String> = self.places.iter().map(Place::name).collect();
        Failure::missing(names.join(", nor "))
    }
}

impl Place {
    fn name(&self) -> String {
        match self {
            Self::Header(name) => name.to_string(),
            Self::Authorization(scheme) => format!("authorization: {scheme}"),
            Self::Parameter(name) => format!("`{name}` in the query"),
        }
    }

    /// Returns the secret that the request carries in this place, or `None` if it carries none there.
    fn secret<'r>(&self, request: &Request<'r>) -> Option<Result<Cow<'r, [u8]>, Failure>> {
        let Self::Parameter(name) = self else {
            return self.in_headers(request.headers).map(|text| text.map(|text| text.as_bytes().into()));
        };
        match request.single_parameter(name) {
            Err(Failure::Missing(_)) => None,
            text => Some(text.map(|text| percent_decode_str(text).into())),
        }
    }

    fn in_headers<'r>(&self, headers: &'r HeaderMap) -> Option<Result<&'r str, Failure>> {
        let optional = |name: &HeaderName| headers.contains_key(name).then(|| single(headers, name.as_str()));
        match self {
            Self::Header(name) => optional(name),
            Self::Authorization(scheme) => {
                optional(&AUTHORIZATION).map(|value| value.and_then(|value| credentials(scheme, value)))
            }
            Self::Parameter(_) => None,
        }
    }
}

/// Returns the bearer token of a request
/// ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750) section 2.1).
///
/// # Errors
/// If the header is missing, occurs more than once, or has another form.
pub fn bearer(headers: &HeaderMap) -> Result<&str, Failure> {
    credentials("Bearer", single(headers, AUTHORIZATION.as_str())?)
}

/// Returns the credentials after the name of the authentication scheme, whose case does not matter, and after
/// one or more spaces ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110) sections 11.1 and 11.4).
fn credentials<'r>(scheme: &str, value: &'r str) -> Result<&'r str, Failure> {
    let pair = value.split_once(' ').filter(|(name, _)| name.eq_ignore_ascii_case(scheme));
    let malformed =
        || Failure::malformed("authorization", format!("`{scheme}` and a space before the secret"));
    pair.map(|(_, credentials)| credentials.trim_start_matches(' ')).ok_or_else(malformed)
}
