//! Decoding of compressed bodies, never past a bound.

use std::io::Read as _;

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use super::Refusal;

/// How a body is encoded ([RFC 9110 §8.4](https://www.rfc-editor.org/rfc/rfc9110#section-8.4)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// Not at all.
    Identity,
    /// `gzip`, once.
    Gzip,
}

impl Coding {
    /// Reads it from a request's headers; more than one coding is not taken.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let coding = match (values.next(), values.next()) {
            (None, _) => return Ok(Self::Identity),
            (Some(value), None) => value.as_bytes(),
            (Some(_), Some(_)) => return Err(Refusal::UnsupportedEncoding),
        };
        if coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip") {
            Ok(Self::Gzip)
        } else if coding.is_empty() || coding.eq_ignore_ascii_case(b"identity") {
            Ok(Self::Identity)
        } else {
            Err(Refusal::UnsupportedEncoding)
        }
    }

    /// Decodes `raw` to at most `limit` bytes.
    pub(super) fn decode(self, raw: &Bytes, limit: usize) -> Result<Bytes, Refusal> {
        match self {
            Self::Identity => Ok(raw.clone()),
            Self::Gzip => gunzip(raw, limit),
        }
    }
}

fn gunzip(raw: &[u8], limit: usize) -> Result<Bytes, Refusal> {
    let mut decoded = Vec::new();
    // One byte more than allowed tells "exactly at the limit" from "over it", and stops a bomb there.
    let mut bounded = MultiGzDecoder::new(raw).take(limit as u64 + 1);
    bounded.read_to_end(&mut decoded).map_err(|_| Refusal::Malformed("the body is not gzip"))?;
    if decoded.len() > limit { Err(Refusal::TooLarge { limit }) } else { Ok(decoded.into()) }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use http::HeaderValue;

    use super::*;

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap().into()
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let bomb = gzip(&vec![0; 10_000_000]);
        assert_eq!(Coding::Gzip.decode(&bomb, 1_000), Err(Refusal::TooLarge { limit: 1_000 }));
        assert_eq!(Coding::Gzip.decode(&gzip(&[7; 1_000]), 1_000).unwrap(), vec![7; 1_000]);
    }

    #[test]
    fn what_is_cut_off_is_malformed() {
        let whole = gzip(b"{\"id\":1}");
        let cut = whole.slice(..whole.len() - 3);
        assert!(matches!(Coding::Gzip.decode(&cut, 1_000), Err(Refusal::Malformed(_))));
    }

    #[test]
    fn only_one_known_coding_is_taken() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            Coding::of(&headers)
        };
        assert_eq!(of(&[]), Ok(Coding::Identity));
        assert_eq!(of(&["GZIP"]), Ok(Coding::Gzip));
        for refused in [&["br"][..], &["gzip, gzip"], &["gzip", "gzip"]] {
            assert_eq!(of(refused), Err(Refusal::UnsupportedEncoding));
        }
    }
}
