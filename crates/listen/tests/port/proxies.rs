//! Proxies that tell the sender's address, and others that must not.

use std::time::Duration;

use floodgate_listen::{Bounds, Budget, ForwardedField, Proxies, Shares};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::served::{LARGE, Served, bounds, read_to_end, within};

const SHORT: Duration = Duration::from_millis(300);
const REQUEST: &[u8] = b"GET /sender HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn trusting(network: &str) -> Proxies {
    Proxies { trusted: vec![network.parse().unwrap()], protocol: true, forwarded: None }
}

fn plain(proxies: Proxies, bounds: Bounds) -> Served {
    Served::behind(proxies, bounds, Budget::unshared(64 << 20))
}

/// Version 2: what follows the signature, and its length.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, rest].concat()
}

/// From 192.0.2.1:1234 to 198.51.100.1:443, with so many bytes of fields.
fn v4(fields: usize) -> Vec<u8> {
    let mut rest = vec![192, 0, 2, 1, 198, 51, 100, 1, 4, 210, 1, 187];
    if fields > 0 {
        // PP2_TYPE_NOOP.
        rest.push(4);
        rest.extend(u16::try_from(fields - 3).unwrap().to_be_bytes());
        rest.resize(12 + fields, 0);
    }
    binary(0x21, 0x11, &rest)
}

fn v6() -> Vec<u8> {
    let mut rest = [0; 36];
    rest[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    rest[15] = 9;
    rest[32..].copy_from_slice(&[4, 210, 1, 187]);
    binary(0x21, 0x21, &rest)
}

async fn answer(served: &Served, pieces: &[&[u8]]) -> String {
    let mut stream = served.connect().await;
    for piece in pieces {
        stream.write_all(piece).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    String::from_utf8(read_to_end(stream).await).unwrap()
}

#[tokio::test]
async fn the_header_of_a_trusted_proxy_gives_the_senders_address() {
    let served = plain(trusting("127.0.0.0/8"), bounds());
    for (header, expected) in [
        (b"PROXY TCP4 192.0.2.1 198.51.100.1 1234 443\r\n".to_vec(), "192.0.2.1:1234"),
        (b"PROXY TCP6 2001:db8::9 2001:db8::1 1234 443\r\n".to_vec(), "[2001:db8::9]:1234"),
        (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1234 443\r\n".to_vec(), "192.0.2.1:1234"),
        (v4(0), "192.0.2.1:1234"),
        (v4(216 - 12), "192.0.2.1:1234"),
        (v6(), "[2001:db8::9]:1234"),
        // The proxy speaks for itself.
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1:"),
        (binary(0x20, 0x00, b""), "127.0.0.1:"),
        (binary(0x20, 0x11, &[0; 12]), "127.0.0.1:"),
        (binary(0x21, 0x31, &[0; 216]), "127.0.0.1:"),
    ] {
        let at_once = answer(&served, &[&[&header, REQUEST].concat()]).await;
        assert!(at_once.contains(&format!("\r\n\r\n{expected}")), "{at_once}");
        let slowly: Vec<&[u8]> = header.chunks(7).chain([REQUEST]).collect();
        let slowly = answer(&served, &slowly).await;
        assert!(slowly.contains(&format!("\r\n\r\n{expected}")), "{slowly}");
    }
}

#[tokio::test]
async fn tls_follows_the_header() {
    let served = Served::tls_behind(trusting("127.0.0.0/8"));
    let mut stream = served.connect().await;
    stream.write_all(&v4(0)).await.unwrap();
    let mut stream = served.shake_hands(stream, &["http/1.1"]).await;
    stream.write_all(REQUEST).await.unwrap();
    let answer = String::from_utf8(read_to_end(stream).await).unwrap();
    assert!(answer.ends_with("\r\n\r\n192.0.2.1:1234"), "{answer}");
}

#[tokio::test]
async fn a_bad_header_closes_the_connection_and_is_counted() {
    let served = plain(trusting("127.0.0.0/8"), Bounds { handshake: SHORT, ..bounds() });
    let text = |text: &str| text.as_bytes().to_vec();
    let long = text(&format!("PROXY UNKNOWN {}\r\n", "x".repeat(107)));
    let cases = [
        ("proxy_malformed", REQUEST.to_vec()),
        ("proxy_malformed", text("PROXY TCP4 192.0.2.1\r\n")),
        ("proxy_malformed", text("PROXY TCP4 192.0.2.999 198.51.100.1 1234 443\r\n")),
        ("proxy_malformed", text("PROXY TCP4 192.0.2.1 198.51.100.1 1234 443\n")),
        // Another version, another command, addresses that are not there, and datagrams.
        ("proxy_malformed", binary(0x31, 0x11, &[0; 12])),
        ("proxy_malformed", binary(0x22, 0x11, &[0; 12])),
        ("proxy_malformed", binary(0x21, 0x11, &[0; 11])),
        ("proxy_malformed", binary(0x21, 0x12, &[0; 12])),
        ("proxy_too_long", long),
        ("proxy_too_long", v4(216 - 12 + 1)),
        ("proxy_late", text("PROXY TCP4 192.0.2.1 ")),
        ("proxy_late", SIGNATURE.to_vec()),
        ("proxy_late", Vec::new()),
    ];
    for (reason, header) in cases {
        let before = served.cut(reason);
        let mut stream = served.connect().await;
        stream.write_all(&header).await.unwrap();
        assert_eq!(read_to_end(stream).await, b"", "{}", String::from_utf8_lossy(&header));
        served.until(reason, |served| served.cut(reason) == before + 1).await;
    }
    // Half a header, and then nothing more.
    let before = served.cut("proxy_malformed");
    let mut stream = served.connect().await;
    stream.write_all(b"PROXY TCP4").await.unwrap();
    stream.shutdown().await.unwrap();
    served.until("it is counted", |served| served.cut("proxy_malformed") == before + 1).await;
    served.until("the memory is back", |served| served.budget.used() == 0).await;
}

#[tokio::test]
async fn who_is_not_trusted_must_not_send_a_header() {
    let served = plain(trusting("10.0.0.0/8"), bounds());
    for header in [b"PROXY TCP4 192.0.2.1 198.51.100.1 1234 443\r\n".to_vec(), v4(0), v6()] {
        let before = served.cut("proxy_untrusted");
        assert_eq!(answer(&served, &[&[&header, REQUEST].concat()]).await, "");
        let (start, rest) = header.split_at(3);
        assert_eq!(answer(&served, &[start, &[rest, REQUEST].concat()]).await, "");
        served.until("both are counted", |served| served.cut("proxy_untrusted") == before + 2).await;
    }
    let honest = answer(&served, &[REQUEST]).await;
    assert!(honest.contains("\r\n\r\n127.0.0.1:"), "{honest}");
    let slow = answer(&served, &[b"P", b"UT /sender HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"]).await;
    assert!(slow.contains("\r\n\r\n127.0.0.1:"), "{slow}");
}

#[tokio::test]
async fn each_request_may_have_its_own_sender() {
    let proxies = Proxies {
        trusted: vec!["127.0.0.0/8".parse().unwrap()],
        protocol: false,
        forwarded: Some(ForwardedField::XForwardedFor),
    };
    let shares =
        Shares { total: 64 << 20, kept: 0, address: LARGE + 64_000, connection: 64 << 20, small: 64_000 };
    let served = Served::behind(proxies, bounds(), Budget::new(shares));
    let get = |path: &str, sender: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: a\r\nx-forwarded-for: {sender}\r\n\r\n")
    };
    let mut one = served.connect().await;
    one.write_all(get("/sender", "198.51.100.7, 192.0.2.1").as_bytes()).await.unwrap();
    let mut bytes = vec![0; 1024];
    let read = within("it is answered", one.read(&mut bytes)).await.unwrap();
    assert!(bytes[..read].ends_with(b"\r\n\r\n192.0.2.1:0"));

    // One sender holds all that an address may have. Behind the same proxy, others still get theirs.
    one.write_all(get("/large", "192.0.2.1").as_bytes()).await.unwrap();
    served.until("it holds memory", |served| served.budget.used() > LARGE).await;
    for (sender, expected) in [("192.0.2.1", "HTTP/1.1 503"), ("192.0.2.2", "HTTP/1.1 200")] {
        let mut other = served.connect().await;
        other.write_all(get("/large", sender).as_bytes()).await.unwrap();
        let read = within("it is answered", other.read(&mut bytes)).await.unwrap();
        assert!(bytes[..read].starts_with(expected.as_bytes()), "{sender}");
    }
}

/// So that a proxy does not use up the share of one address for all of its senders.
#[tokio::test]
async fn a_connection_is_counted_for_the_sender_behind_the_proxy() {
    let shares =
        Shares { total: 64 << 20, kept: 0, address: LARGE + 64_000, connection: 64 << 20, small: 64_000 };
    let served = Served::behind(trusting("127.0.0.0/8"), bounds(), Budget::new(shares));
    let mut held = Vec::new();
    for (sender, expected) in
        [("192.0.2.1", "HTTP/1.1 200"), ("192.0.2.1", "HTTP/1.1 503"), ("192.0.2.2", "HTTP/1.1 200")]
    {
        let mut stream = served.connect().await;
        let header = format!("PROXY TCP4 {sender} 198.51.100.1 1234 443\r\n");
        stream.write_all(header.as_bytes()).await.unwrap();
        stream.write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut bytes = vec![0; 64];
        let read = within("it is answered", stream.read(&mut bytes)).await.unwrap();
        assert!(bytes[..read].starts_with(expected.as_bytes()), "{sender}");
        held.push(stream);
    }
}
