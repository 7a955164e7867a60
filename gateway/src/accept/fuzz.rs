//! Paths, bodies and codings of any form.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use floodgate_event::Name;
use floodgate_listen::Budget;
use http::HeaderValue;
use http::header::CONTENT_ENCODING;
use proptest::prelude::*;

use super::*;

fn paths() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z/~._-]{1,4}",
        "%[0-9a-fA-F]{2}",
        "%[0-9a-zA-Z+é%]{0,3}",
        Just("%2e%2E".to_owned()),
        "[ -~é]{0,3}",
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// Decodes what can be decoded, in one pass.
fn decoded(path: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (vec![], path.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let byte = digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    bytes
}

fn gzip(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The decoded bytes, and the memory that is counted for them.
fn gunzip(raw: Vec<u8>, limit: usize) -> (Result<Bytes, Refusal>, usize) {
    let mut memory = Budget::unshared(1 << 20).own_account().reserve(0).unwrap();
    let result = Coding::Gzip.decode(&raw.into(), limit, &mut memory);
    (result, memory.bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// A path that names a source is the path that the sender wrote, decoded.
    #[test]
    fn only_a_path_that_decodes_to_it_names_a_source(path in paths()) {
        let path = format!("/in/{path}");
        let normal = path::normal(&path);
        prop_assert!(normal.len() <= path.len());
        if !normal.contains('%') {
            prop_assert_eq!(normal.as_bytes(), &decoded(&path));
        }
        if let Some(name) = normal.strip_prefix("/in/").filter(|name| name.parse::<Name>().is_ok()) {
            prop_assert_eq!(decoded(&path), format!("/in/{name}").into_bytes());
        }
    }

    #[test]
    fn what_is_packed_is_what_was_packed(
        bytes in prop::collection::vec(any::<u8>(), 0..2_000),
        repeat in 1..20_usize,
        level in 0..9_u32,
        limit in 0..20_000_usize,
        two: bool,
    ) {
        let whole = bytes.repeat(repeat);
        // Members one after the other are one body (RFC 1952 section 2.2).
        let packed = match two {
            true => [gzip(&whole[..whole.len() / 2], level), gzip(&whole[whole.len() / 2..], level)].concat(),
            false => gzip(&whole, level),
        };
        let (result, counted) = gunzip(packed, limit);
        if whole.len() > limit {
            prop_assert_eq!(result, Err(Refusal::TooLarge { limit }));
        } else {
            prop_assert!(counted >= whole.len());
            prop_assert_eq!(result.unwrap(), whole);
        }
        prop_assert!(counted <= limit + 1);
    }

    #[test]
    fn damage_is_refused_within_the_limit(
        bytes in prop::collection::vec(any::<u8>(), 0..500),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 1..=u8::MAX), 0..4),
        cut: prop::sample::Index,
        cuts: bool,
        limit in 0..5_000_usize,
    ) {
        let mut packed = gzip(&bytes.repeat(4), 6);
        for (at, mask) in damage {
            let at = at.index(packed.len());
            packed[at] ^= mask;
        }
        if cuts {
            packed.truncate(cut.index(packed.len()));
        }
        let (result, counted) = gunzip(packed, limit);
        prop_assert!(counted <= limit + 1);
        prop_assert!(result.map_or(true, |decoded| decoded.len() <= limit.min(counted)));
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(raw: Vec<u8>, limit in 0..3_000_usize) {
        let (result, counted) = gunzip(raw, limit);
        prop_assert!(counted <= limit + 1 && result.map_or(true, |decoded| decoded.len() <= limit));
    }

    #[test]
    fn a_coding_is_one_that_is_known(values in prop::collection::vec("(gzip|x-gzip|GZIP|identity|br|deflate|,| )?[ -~]{0,2}", 0..3)) {
        let mut headers = http::HeaderMap::new();
        for value in &values {
            headers.append(CONTENT_ENCODING, HeaderValue::try_from(value).unwrap());
        }
        match Coding::of(&headers) {
            Ok(Coding::Gzip) => prop_assert!(values.len() == 1 && values[0].to_lowercase().ends_with("gzip")),
            Ok(Coding::Identity) => prop_assert!(values.is_empty() || ["", "identity"].contains(&&*values[0])),
            Err(refusal) => prop_assert_eq!(refusal, Refusal::UnsupportedEncoding),
        }
    }
}
