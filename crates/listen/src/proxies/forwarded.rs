//! Walks from the last proxy back to the sender. Each proxy adds its peer's address on the right, so what is
//! left of the first address that is no trusted proxy may be forged, and is not read.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::HeaderMap;
use http::header::FORWARDED;

use super::{ForwardedField, Proxies};

/// The most entries that are read. A chain of proxies is shorter, and a forged one gains nothing.
const MAX_HOPS: usize = 32;
const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// Reads the address of an entry; None if it cannot be read.
type ReadHop = fn(&[u8]) -> Option<SocketAddr>;

/// The right-most address that is not a trusted proxy. An entry that cannot be read ends the walk at the
/// address before it, and so does the end of the list.
pub(super) fn walk(
    proxies: &Proxies,
    field: ForwardedField,
    headers: &HeaderMap,
    peer: SocketAddr,
) -> SocketAddr {
    let (name, read): (&str, ReadHop) = match field {
        ForwardedField::XForwardedFor => (X_FORWARDED_FOR, address),
        ForwardedField::Forwarded => (FORWARDED.as_str(), node),
    };
    // Several lines are one list (RFC 9110 section 5.3).
    let lines = headers.get_all(name).iter().rev();
    let entries = lines.flat_map(|line| Backwards { rest: Some(line.as_bytes()) });
    let mut sender = peer;
    for entry in entries.take(MAX_HOPS).filter(|entry| !entry.is_empty()) {
        let Some(hop) = read(entry) else { break };
        sender = hop;
        if !proxies.trusts(hop.ip()) {
            break;
        }
    }
    sender
}

/// The entries of a list, the last one first. Commas in quotes separate nothing. Quotes are matched from the
/// right, so that a forged quote on the left hides no entry of a proxy.
struct Backwards<'v> {
    rest: Option<&'v [u8]>,
}

impl<'v> Iterator for Backwards<'v> {
    type Item = &'v [u8];

    fn next(&mut self) -> Option<&'v [u8]> {
        let rest = self.rest?;
        let mut is_quoted = false;
        for (at, byte) in rest.iter().enumerate().rev() {
            match byte {
                b'"' if !is_escaped(&rest[..at]) => is_quoted = !is_quoted,
                b',' if !is_quoted => {
                    self.rest = Some(&rest[..at]);
                    return Some(rest[at + 1..].trim_ascii());
                }
                _ => {}
            }
        }
        self.rest = None;
        Some(rest.trim_ascii())
    }
}

/// Returns true if a backslash that is not escaped itself stands before.
fn is_escaped(before: &[u8]) -> bool {
    before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// The `for` of an element of `Forwarded`. None if it has none or two, or names no address (`unknown`, `_x`).
fn node(element: &[u8]) -> Option<SocketAddr> {
    let mut pairs = element.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let named = pairs.by_ref().filter_map(|pair| match pair.split_at_checked(4) {
        Some((name, value)) if name.eq_ignore_ascii_case(b"for=") => Some(value),
        _ => None,
    });
    let named: Vec<&[u8]> = named.take(2).collect();
    match named[..] {
        [value] => address(unquoted(value)?),
        _ => None,
    }
}

fn unquoted(value: &[u8]) -> Option<&[u8]> {
    match value.strip_prefix(b"\"") {
        Some(value) => value.strip_suffix(b"\""),
        None => Some(value),
    }
}

/// Reads `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]` and `[2001:db8::1]:443`. A port that is
/// missing or hidden (`_x`) is 0.
fn address(value: &[u8]) -> Option<SocketAddr> {
    let text = str::from_utf8(value).ok()?;
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(SocketAddr::new(address.to_canonical(), 0));
    }
    let (address, port) = match text.strip_prefix('[') {
        Some(text) => {
            let (address, port) = text.split_once(']')?;
            (IpAddr::V6(address.parse::<Ipv6Addr>().ok()?), port)
        }
        None => {
            let (address, _) = text.split_once(':')?;
            (IpAddr::V4(address.parse().ok()?), &text[address.len()..])
        }
    };
    Some(SocketAddr::new(address.to_canonical(), self::port(port)?))
}

fn port(text: &str) -> Option<u16> {
    match text.strip_prefix(':') {
        Some(hidden) if hidden.starts_with('_') => Some(0),
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok(),
        Some(_) => None,
        None => text.is_empty().then_some(0),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    fn sender(field: ForwardedField, lines: &[&str]) -> String {
        let proxies = Proxies {
            trusted: ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).into(),
            protocol: false,
            forwarded: Some(field),
        };
        let mut headers = HeaderMap::new();
        for line in lines {
            let name = match field {
                ForwardedField::XForwardedFor => "x-forwarded-for",
                ForwardedField::Forwarded => "forwarded",
            };
            headers.append(name, HeaderValue::from_str(line).unwrap());
        }
        // As a dual-stack listener shows it.
        proxies.sender(&headers, "[::ffff:10.0.0.1]:5000".parse().unwrap()).to_string()
    }

    const PEER: &str = "[::ffff:10.0.0.1]:5000";

    #[test]
    fn the_rightmost_address_that_is_no_proxy_counts() {
        for (lines, expected) in [
            (&[][..], PEER),
            (&["192.0.2.1"], "192.0.2.1:0"),
            (&["198.51.100.9, 192.0.2.1"], "192.0.2.1:0"),
            (&["198.51.100.9, 192.0.2.1, 10.2.3.4"], "192.0.2.1:0"),
            // Two lines are one list.
            (&["198.51.100.9", "192.0.2.1"], "192.0.2.1:0"),
            (&["198.51.100.9, 192.0.2.1", "10.2.3.4 ,10.9.9.9"], "192.0.2.1:0"),
            (&["192.0.2.1:4711"], "192.0.2.1:4711"),
            (&["2001:db8::1"], "[2001:db8::1]:0"),
            (&["[2001:db8::1]:443, fd00::2"], "[2001:db8::1]:443"),
            (&["::ffff:192.0.2.1"], "192.0.2.1:0"),
            (&["192.0.2.1, , 10.2.3.4,"], "192.0.2.1:0"),
            // Only proxies: the one that is furthest away.
            (&["10.7.7.7, 10.2.3.4"], "10.7.7.7:0"),
            // What cannot be read ends the walk.
            (&["192.0.2.1, nonsense, 10.2.3.4"], "10.2.3.4:0"),
            (&["192.0.2.1, 10.2.3.4:99999"], PEER),
            (&["192.0.2.1, unknown"], PEER),
            (&["192.0.2.1, [::1"], PEER),
        ] {
            assert_eq!(sender(ForwardedField::XForwardedFor, lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_has_it() {
        for (lines, expected) in [
            (&["for=192.0.2.43"][..], "192.0.2.43:0"),
            (&["For=\"[2001:db8:cafe::17]:4711\";proto=https"], "[2001:db8:cafe::17]:4711"),
            (&["for=198.51.100.1, by=203.0.113.43;for=192.0.2.60;proto=http"], "192.0.2.60:0"),
            (&["for=192.0.2.43, for=10.4.4.4", "for=\"10.3.3.3:_hidden\""], "192.0.2.43:0"),
            (&["for=192.0.2.43; host=\"a, b\""], "192.0.2.43:0"),
            (&["for=192.0.2.43;host=\"a\\\", for=10.0.0.2\", for=10.4.4.4"], "192.0.2.43:0"),
            // A quote that a sender forged hides nothing of what the proxy added.
            (&["for=\"198.51.100.9, for=192.0.2.43"], "192.0.2.43:0"),
            (&["for=\"", "for=192.0.2.43"], "192.0.2.43:0"),
            (&["for=192.0.2.43, for=unknown, for=10.4.4.4"], "10.4.4.4:0"),
            (&["for=192.0.2.43, for=_gazonk"], PEER),
            (&["for=192.0.2.43, proto=https"], PEER),
            (&["for=192.0.2.43;for=192.0.2.44"], PEER),
            (&["for=\"192.0.2.43"], PEER),
        ] {
            assert_eq!(sender(ForwardedField::Forwarded, lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn the_walk_is_bounded() {
        let long = format!("192.0.2.1{}", ", 10.2.3.4".repeat(MAX_HOPS));
        assert_eq!(sender(ForwardedField::XForwardedFor, &[&long]), "10.2.3.4:0");
        let fits = format!("192.0.2.1{}", ", 10.2.3.4".repeat(MAX_HOPS - 1));
        assert_eq!(sender(ForwardedField::XForwardedFor, &[&fits]), "192.0.2.1:0");
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let proxies = Proxies {
            trusted: vec!["10.0.0.0/8".parse().unwrap()],
            protocol: false,
            forwarded: Some(ForwardedField::XForwardedFor),
        };
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_static("192.0.2.1"));
        let stranger = "198.51.100.7:5000".parse().unwrap();
        assert_eq!(proxies.sender(&headers, stranger), stranger);
        let silent = Proxies { forwarded: None, ..proxies };
        let proxy = "10.0.0.1:5000".parse().unwrap();
        assert_eq!(silent.sender(&headers, proxy), proxy);
    }
}
