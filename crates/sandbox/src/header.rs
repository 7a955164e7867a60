//! Checks the header pairs that a handler returns, because they go to consumers or to the sender unchanged.

use http::{HeaderName, HeaderValue};

use crate::fault::Fault;

/// The most pairs of one outcome.
const MAX_PAIRS: usize = 64;
/// The most bytes of all pairs of one outcome.
const MAX_BYTES: usize = 16 * 1024;
/// Names that belong to the connection, to the message's framing or to its sender (RFC 9110 §7.6.1 and §7.8,
/// RFC 9113 §8.2.2).
const FRAMING: [&str; 14] = [
    "close",
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];
/// Names that only the server may use in an answer: the time of the answer (RFC 9110 §6.6.1), other places
/// where it can be reached (RFC 7838), and what only a proxy asks for.
const SERVER: [&str; 4] = ["alt-svc", "date", "proxy-authenticate", "proxy-authentication-info"];
/// Prefixes of the headers that only Floodgate adds for consumers.
const OWN: [&str; 2] = ["webhook-", "floodgate-"];

/// A header that the host has checked: it is valid HTTP, and handlers may set it.
pub type Pair = (HeaderName, HeaderValue);

/// The number of bytes of checked pairs.
pub(crate) fn bytes(pairs: &[Pair]) -> usize {
    pairs.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// Checks the pairs for consumers that a guest returned.
pub(crate) fn check(pairs: &[(String, Vec<u8>)]) -> Result<Vec<Pair>, Fault> {
    check_except(pairs, &[])
}

/// Checks the pairs of an answer to the sender.
pub(crate) fn check_answer(pairs: &[(String, Vec<u8>)]) -> Result<Vec<Pair>, Fault> {
    check_except(pairs, &SERVER)
}

fn check_except(pairs: &[(String, Vec<u8>)], also: &[&str]) -> Result<Vec<Pair>, Fault> {
    if pairs.len() > MAX_PAIRS {
        return Err(Fault::output(format!("{} headers, and at most {MAX_PAIRS} are taken", pairs.len())));
    }
    let bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > MAX_BYTES {
        return Err(Fault::output(format!("{bytes} bytes of headers, and at most {MAX_BYTES} are taken")));
    }
    pairs.iter().map(|(name, value)| pair(name, value, also)).collect()
}

fn pair(name: &str, value: &[u8], also: &[&str]) -> Result<Pair, Fault> {
    let invalid = |what| Fault::output(format!("header `{name}`: {what}"));
    let checked = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid("not a header name"))?;
    let taken = |names: &[&str]| names.contains(&checked.as_str());
    let is_own = OWN.iter().any(|prefix| checked.as_str().starts_with(prefix));
    if taken(&FRAMING) || taken(also) || is_own {
        return Err(invalid("a handler may not set it"));
    }
    let value = HeaderValue::from_bytes(value).map_err(|_| invalid("not a header value"))?;
    Ok((checked, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_one(name: &str, value: &[u8]) -> Result<Vec<Pair>, Fault> {
        check(&[(name.to_owned(), value.to_vec())])
    }

    #[test]
    fn what_could_split_a_message_is_refused() {
        for (name, value) in [
            ("x\r\ny", &b"1"[..]),
            ("x", b"1\r\nset-cookie: a"),
            ("x", b"1\n"),
            ("x y", b"1"),
            ("", b"1"),
            ("Content-Length", b"0"),
            ("Webhook-Signature", b"v1,x"),
            ("floodgate-source", b"other"),
        ] {
            assert!(check_one(name, value).is_err(), "{name:?}: {value:?}");
        }
        assert_eq!(check_one("X-Kept", b"\xe4 1").unwrap()[0].0, "x-kept");
    }

    #[test]
    fn an_answer_leaves_to_the_server_what_is_the_server_s() {
        let answered = |name: &str| check_answer(&[(name.to_owned(), b"1".to_vec())]);
        for name in FRAMING.iter().chain(&SERVER) {
            assert!(answered(name).is_err() && answered(&name.to_uppercase()).is_err(), "{name}");
        }
        for name in FRAMING {
            assert!(check_one(name, b"1").is_err(), "{name}");
        }
        assert!(check_one("date", b"1").is_ok(), "to a consumer it is one header of many");
        for name in ["content-type", "www-authenticate", "retry-after", "set-cookie", "content-encoding"] {
            assert!(answered(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn number_and_size_are_capped() {
        assert!(check(&vec![("x".into(), Vec::new()); MAX_PAIRS + 1]).is_err());
        assert!(check_one("x", &vec![b'x'; MAX_BYTES]).is_err());
    }
}
