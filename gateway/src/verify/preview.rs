//! What an event would be called: for the command that explains a request which was kept in a file.

use bytes::Bytes;
use floodgate_event::source::{Intake, Locator};
use floodgate_listen::Reservation;
use floodgate_schemes::Scheme;
use http::HeaderMap;

use super::fields::Fields;
use crate::accept::content_coding::Coding;

/// The id and the type that a provider gave an event, where its scheme's preset looks for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// The provider's id, or why there is none.
    pub id: Result<String, &'static str>,
    /// Whether the signature covers the id. If not, the body decides what is a duplicate.
    pub is_id_signed: bool,
    /// The type, or why there is none.
    pub event_type: Result<String, &'static str>,
}

/// Reads the id and the type of an event as a gateway would that has this scheme and the defaults of a
/// source.
///
/// # Errors
/// If the body is in a coding that gateways do not take, or too long.
pub fn preview(scheme: &Scheme, headers: &HeaderMap, raw: &Bytes) -> Result<Preview, String> {
    let most = Intake::MAX_BODY_BYTES as usize;
    let coding = Coding::of(headers).map_err(|refusal| refusal.to_string())?;
    let body = coding.decode(raw, most, &mut Reservation::uncounted());
    let body = body.map_err(|refusal| refusal.to_string())?;
    let preset = scheme.preset();
    let (id, event_type) = (preset.id.map(Locator::from), preset.event_type.map(Locator::from));
    let found = Fields::new(id.as_ref(), event_type.as_ref(), None).find(headers, &body);
    Ok(Preview {
        id: found.id.as_ref().map(|_| found.shown_id()).map_err(|why| why.as_str()),
        is_id_signed: id.is_some_and(|id| scheme.covers(&id)),
        event_type: found.event_type.map_err(|why| why.as_str()),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use floodgate_event::Secret;
    use floodgate_event::scheme::Settings;
    use floodgate_schemes::NamedSecret;

    use super::*;

    fn of(scheme: &str, headers: &[(&'static str, &str)], body: &[u8]) -> Result<Preview, String> {
        let secrets = vec![NamedSecret { id: String::new(), secret: Secret::new("s3cret") }];
        let scheme = Scheme::new(scheme, &Settings::default(), secrets).unwrap();
        let pairs = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        preview(&scheme, &pairs.collect(), &Bytes::copy_from_slice(body))
    }

    #[test]
    fn id_and_type_are_where_the_preset_says() {
        let stripe = of("stripe", &[], br#"{"id": "evt_1", "type": "charge.succeeded"}"#).unwrap();
        assert_eq!((stripe.id.as_deref(), stripe.is_id_signed), (Ok("evt_1"), true));
        assert_eq!(stripe.event_type.as_deref(), Ok("charge.succeeded"));
        let github = of("github", &[("x-github-delivery", "7")], b"{}").unwrap();
        assert_eq!((github.id.as_deref(), github.is_id_signed), (Ok("7"), false));
        assert_eq!(github.event_type, Err("missing"));
    }

    #[test]
    fn a_compressed_body_is_read_within_its_bound() {
        let gzip = |bytes: &[u8]| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        let headers = [("content-encoding", "gzip")];
        let read = of("stripe", &headers, &gzip(br#"{"id": "evt_1"}"#)).unwrap();
        assert_eq!(read.id.as_deref(), Ok("evt_1"));
        assert!(of("stripe", &headers, b"no gzip").is_err());
        assert!(of("stripe", &headers, &gzip(&vec![0; 4_000_000])).unwrap_err().contains("over"));
    }
}
