//! What proxies tell, whole, forged or damaged.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::header::{MAX_BYTES, length, parse};
use super::{ForwardedField, Proxies};

fn proxies(forwarded: ForwardedField) -> Proxies {
    let trusted = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).into();
    Proxies { trusted, protocol: false, forwarded: Some(forwarded) }
}

const PROXY: &str = "10.0.0.1:5000";

/// What a sender may write in front of what the first proxy adds.
fn forged() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[\",;\\\\= \\[\\]:]{1,3}",
        "for=\"?[0-9.:a-f\\[\\]]{0,15}",
        Just("198.51.100.9".to_owned()),
        Just("for=198.51.100.9".to_owned()),
        Just("10.2.3.4".to_owned()),
        "[ -~é]{0,6}",
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// The hops after the sender, as trusted proxies write them.
fn hops(field: ForwardedField) -> BoxedStrategy<Vec<String>> {
    let hop = match field {
        ForwardedField::XForwardedFor => {
            prop::sample::select(vec!["10.2.3.4", "10.2.3.4:80", "fd00::7", "[fd00::7]:443"]).boxed()
        }
        ForwardedField::Forwarded => prop::sample::select(vec![
            "for=10.2.3.4",
            "for=\"10.2.3.4:80\";proto=https",
            "by=x;FOR=\"[fd00::7]:_hidden\"",
            "for=10.2.3.4;host=\"a, b\\\"c\"",
        ])
        .boxed(),
    };
    prop::collection::vec(hop.prop_map(str::to_owned), 0..5).boxed()
}

fn sender(field: ForwardedField, lines: &[String], peer: &str) -> Option<SocketAddr> {
    let mut headers = HeaderMap::new();
    let name = match field {
        ForwardedField::XForwardedFor => "x-forwarded-for",
        ForwardedField::Forwarded => "forwarded",
    };
    for line in lines {
        headers.append(name, HeaderValue::from_str(line).ok()?);
    }
    Some(proxies(field).sender(&headers, peer.parse().unwrap()))
}

fn address() -> impl Strategy<Value = SocketAddr> {
    let v4 = any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)));
    let v6 = any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)));
    (prop_oneof![v4, v6], any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

/// The header of a version, for a sender.
fn header(is_binary: bool, sender: SocketAddr) -> Vec<u8> {
    if !is_binary {
        let (family, own) = if sender.is_ipv4() { ("TCP4", "198.51.100.1") } else { ("TCP6", "2001:db8::1") };
        return format!("PROXY {family} {} {own} {} 443\r\n", sender.ip(), sender.port()).into_bytes();
    }
    let (family, source, own) = match sender.ip() {
        IpAddr::V4(ip) => (0x11, ip.octets().to_vec(), vec![198, 51, 100, 1]),
        IpAddr::V6(ip) => (0x21, ip.octets().to_vec(), vec![0x20; 16]),
    };
    let ports = [sender.port().to_be_bytes(), 443_u16.to_be_bytes()].concat();
    let rest = [source, own, ports].concat();
    let count = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n".as_slice(), &[0x21, family], &count, &rest].concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Whatever a sender writes, it is known by the address that the first trusted proxy saw.
    #[test]
    fn a_sender_cannot_hide_behind_what_it_wrote(
        in_one_line: bool,
        forged in forged(),
        (field, hops) in prop_oneof![Just(ForwardedField::XForwardedFor), Just(ForwardedField::Forwarded)]
            .prop_flat_map(|field| (Just(field), hops(field))),
    ) {
        let own = if field == ForwardedField::Forwarded { "for=192.0.2.7" } else { "192.0.2.7" };
        let mut entries: Vec<String> = [own.to_owned()].into_iter().chain(hops).collect();
        let lines = if in_one_line {
            vec![[vec![forged.clone()], entries].concat().join(", ")]
        } else {
            entries.insert(0, forged.clone());
            entries
        };
        if let Some(found) = sender(field, &lines, PROXY) {
            prop_assert_eq!(found, "192.0.2.7:0".parse().unwrap(), "{:?}", lines);
        }
        let stranger = "203.0.113.9:5000";
        let unmoved = sender(field, &lines, stranger).is_none_or(|found| found == stranger.parse().unwrap());
        prop_assert!(unmoved, "a stranger's word was taken");
    }

    #[test]
    fn nothing_in_the_field_makes_it_panic(
        forwarded: bool,
        lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..4),
    ) {
        let field = if forwarded { ForwardedField::Forwarded } else { ForwardedField::XForwardedFor };
        let mut headers = HeaderMap::new();
        for line in lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok()) {
            headers.append(if forwarded { "forwarded" } else { "x-forwarded-for" }, line);
        }
        let found = proxies(field).sender(&headers, PROXY.parse().unwrap());
        prop_assert_eq!(found.ip(), found.ip().to_canonical());
    }

    #[test]
    fn a_header_of_either_version_names_its_sender(is_binary: bool, sender in address()) {
        let bytes = header(is_binary, sender);
        prop_assert_eq!(length(&bytes).unwrap(), Some(bytes.len()));
        let expected = SocketAddr::new(sender.ip().to_canonical(), sender.port());
        prop_assert_eq!(parse(&bytes).unwrap(), Some(expected));
    }

    /// However few bytes have arrived: what is known of a header stays so.
    #[test]
    fn a_damaged_header_is_bounded_and_judged_alike_in_pieces(
        is_binary: bool,
        sender in address(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        more in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut bytes = header(is_binary, sender);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.extend(more);
        let mut known = None;
        for end in 1..=bytes.len() {
            let judged = length(&bytes[..end]).map_err(|fault| fault.reason());
            match (&known, &judged) {
                (Some(before), after) => prop_assert_eq!(before, after, "at {}", end),
                (None, Ok(None)) => prop_assert!(end < MAX_BYTES, "{} bytes and no end", end),
                (None, Ok(Some(whole))) => {
                    prop_assert!(*whole <= end && *whole <= MAX_BYTES);
                    let _ = parse(&bytes[..*whole]);
                    known = Some(judged);
                }
                (None, Err(_)) => known = Some(judged),
            }
        }
    }
}
