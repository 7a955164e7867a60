//! Decodes compressed bodies up to a bound.

use std::io::Read as _;

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use floodgate_listen::Reservation;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use super::Refusal;

/// The least size of the output buffer.
const LEAST_ROOM: usize = 1024;

/// How a body is encoded ([RFC 9110 §8.4](https://www.rfc-editor.org/rfc/rfc9110#section-8.4)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// The body is not encoded.
    Identity,
    /// The body is encoded once, with `gzip`.
    Gzip,
}

impl Coding {
    /// Reads the coding from a request's headers. More than one coding is refused.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
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

    /// Decodes `raw` to at most `limit` bytes, counted in `memory`.
    pub(crate) fn decode(
        self,
        raw: &Bytes,
        limit: usize,
        memory: &mut Reservation,
    ) -> Result<Bytes, Refusal> {
        match self {
            Self::Identity => Ok(raw.clone()),
            Self::Gzip => gunzip(raw, limit, memory),
        }
    }
}

fn gunzip(raw: &[u8], limit: usize, memory: &mut Reservation) -> Result<Bytes, Refusal> {
    // One byte more than allowed tells "exactly at the limit" from "over it", and stops a bomb there.
    let most = limit + 1;
    let mut decoder = MultiGzDecoder::new(raw).take(most as u64);
    let mut decoded = Vec::new();
    // JSON packs to a fourth or less.
    let mut room = raw.len().saturating_mul(4).clamp(LEAST_ROOM.min(most), most);
    loop {
        let missing = room - decoded.len();
        memory.grow_by(missing)?;
        decoded.reserve_exact(missing);
        let read = decoder.by_ref().take(missing as u64).read_to_end(&mut decoded);
        read.map_err(|_| Refusal::Malformed("the body is not gzip"))?;
        if decoded.len() < room || room == most {
            break;
        }
        room = room.saturating_mul(2).min(most);
    }
    if decoded.len() > limit { Err(Refusal::TooLarge { limit }) } else { Ok(decoded.into()) }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use std::net::Ipv4Addr;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use floodgate_listen::Budget;
    use http::HeaderValue;

    use super::*;

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap().into()
    }

    /// The decoded bytes within so much memory, and how much of the memory is used.
    fn decode(raw: &Bytes, limit: usize, memory: usize) -> (Result<Bytes, Refusal>, usize) {
        let budget = Budget::unshared(memory);
        let mut memory = budget.account(Ipv4Addr::LOCALHOST.into()).reserve(0).unwrap();
        let decoded = Coding::Gzip.decode(raw, limit, &mut memory);
        (decoded, memory.bytes())
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let bomb = gzip(&vec![0; 10_000_000]);
        let (decoded, taken) = decode(&bomb, 100_000, 1 << 20);
        assert_eq!((decoded, taken), (Err(Refusal::TooLarge { limit: 100_000 }), 100_001));
        assert_eq!(decode(&gzip(&[7; 1_000]), 1_000, 1 << 20).0.unwrap(), vec![7; 1_000]);
    }

    #[test]
    fn memory_is_taken_for_what_there_is_and_not_for_what_is_allowed() {
        let text = gzip(&[7; 50_000]);
        let (decoded, taken) = decode(&text, 3_000_000, 1 << 20);
        assert_eq!(decoded.unwrap().len(), 50_000);
        assert!((50_000..100_000).contains(&taken), "{taken}");
        let short = decode(&text, 3_000_000, 20_000).0;
        assert_eq!(short, Err(Refusal::Unavailable(crate::accept::refusal::Unavailable::Memory)));
    }

    #[test]
    fn what_is_cut_off_is_malformed() {
        let whole = gzip(b"{\"id\":1}");
        let cut = whole.slice(..whole.len() - 3);
        assert!(matches!(decode(&cut, 1_000, 1 << 20).0, Err(Refusal::Malformed(_))));
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
