//! HubSpot's third version, which signs the method and the URL. A request carries several events.
//!
//! Its documentation says that it decodes some escapes of the URL before it signs, and its published vectors
//! have none. So the URL is accepted with or without them decoded. None of the decoded characters ends a
//! parameter or its name, so both URLs have the same parameters.

use floodgate_event::scheme::{Encoding, Settings, Template, Timestamp, TimestampAt, Unit};
use floodgate_event::source::Locator;
use http::HeaderMap;

use crate::keys::Secrets;
use crate::preset::{Preset, Signing};
use crate::verify::Verify;
use crate::{Failure, InvalidSettings, Request, Signed, Unsigned, template};

/// The characters whose escapes HubSpot decodes.
const DECODED: &str = ":/?@!$'()*,;";

pub(super) fn preset() -> Preset {
    Preset {
        body_begins: "[{",
        documentation: "https://developers.hubspot.com/docs/apps/legacy-apps/authentication/validating-requests",
        uses: &["secrets", "url"],
        tolerance_seconds: Some(300),
        ..Preset::coded("hubspot", "HubSpot v3", Signing::Varied(template(), prepare))
    }
}

fn template() -> Template {
    Template {
        encoding: Encoding::Base64,
        content: "{method}{url}{body}{timestamp}".to_owned(),
        timestamp: Some(Timestamp {
            at: TimestampAt::Header("x-hubspot-request-timestamp".to_owned()),
            unit: Unit::Milliseconds,
        }),
        ..Template::hmac_sha256("x-hubspot-signature-v3")
    }
}

/// The scheme for one form of the URL.
struct HubSpot(Box<dyn Verify>);

fn prepare(settings: &Settings, secrets: &Secrets) -> Result<Box<dyn Verify>, InvalidSettings> {
    Ok(Box::new(HubSpot(template::prepare(&template(), settings, secrets)?)))
}

impl Verify for HubSpot {
    fn require(&self, headers: &HeaderMap) -> Result<(), Failure> {
        self.0.require(headers)
    }

    fn verify(&self, request: &Request<'_>) -> Result<&str, Failure> {
        match self.0.verify(request) {
            Err(Failure::NoMatch { .. }) => {
                self.0.verify(&Request { url: &decoded(request.url), ..*request })
            }
            as_received => as_received,
        }
    }

    fn covers(&self, locator: &Locator) -> bool {
        self.0.covers(locator)
    }

    fn sign(&self, message: &Unsigned<'_>) -> Option<Signed> {
        self.0.sign(message)
    }
}

/// Decodes the escapes that HubSpot decodes, each once.
fn decoded(url: &str) -> String {
    let mut parts = url.split('%');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let byte = part.get(..2).and_then(|digits| hex::decode(digits).ok()?.first().copied());
        match byte.map(char::from).filter(|character| DECODED.contains(*character)) {
            Some(character) => {
                decoded.push(character);
                decoded.push_str(&part[2..]);
            }
            None => {
                decoded.push('%');
                decoded.push_str(part);
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_some_escapes_are_decoded_and_only_once() {
        let all = "%3A%2F%3F%40%21%24%27%28%29%2A%2C%3B";
        assert_eq!(decoded(all), ":/?@!$'()*,;");
        assert_eq!(decoded(&all.to_lowercase()), ":/?@!$'()*,;");
        for same in ["", "%", "%%", "%2", "%3", "%3g", "%+3a", "%é", "%20%26%3D%2B%23%25", "%253A", "a:b"] {
            assert_eq!(decoded(same), same);
        }
        assert_eq!(decoded("/in?a=%%3A%253a%3"), "/in?a=%:%253a%3");
    }
}
