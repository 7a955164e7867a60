//! HTTP/1 as bytes on a socket: what hyper leaves to the gateway.

use std::net::SocketAddr;
use std::time::Duration;

use floodgate_event::Lane;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::signature;
use crate::region::{Region, until};

/// Sends each piece in a segment of its own, and reads until the gateway closes.
async fn exchange(address: SocketAddr, pieces: &[&str]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in pieces {
        // The gateway may have refused and closed already.
        if stream.write_all(piece.as_bytes()).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let mut answer = Vec::new();
    let reading = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer));
    // What came before a reset counts.
    let _ = reading.await.expect("the gateway answers and closes");
    String::from_utf8(answer).unwrap()
}

fn status(answer: &str) -> &str {
    answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).unwrap_or(answer)
}

fn assert_problem(answer: &str, expected: &str) {
    assert_eq!(status(answer), expected, "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: application/problem+json"), "{answer}");
    assert!(body.contains(&format!("\"status\":{expected}")), "{answer}");
    assert!(head.contains(&format!("content-length: {}", body.len())), "{answer}");
    assert!(head.contains("\r\ndate: "), "{answer}");
}

/// A signed request with this target and these header lines besides; ends the connection.
fn signed(target: &str, lines: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nx-hub-signature-256: {}\r\nconnection: close\r\n{lines}\r\n",
        signature(b"{}")
    )
}

const WHOLE: &str = "host: localhost\r\ncontent-length: 2\r\n";

#[tokio::test]
async fn heads_are_held_to_the_standard() {
    let region = Region::with_source("{}").await;
    let send = async |target: &str, lines: &str, body: &str| {
        exchange(region.address, &[&(signed(target, lines) + body)]).await
    };
    for (lines, body, expected) in [
        (WHOLE, "{}", "200"),
        ("host: LOCALHOST:8441\r\ncontent-length: 2\r\n", "{}", "200"),
        ("host: localhost\r\ntransfer-encoding: Chunked\r\n", "2\r\n{}\r\n0\r\n\r\n", "200"),
        ("content-length: 2\r\n", "{}", "400"),
        ("host: localhost\r\nhost: localhost\r\ncontent-length: 2\r\n", "{}", "400"),
        ("host: user@localhost\r\ncontent-length: 2\r\n", "{}", "400"),
        ("host: local host\r\ncontent-length: 2\r\n", "{}", "400"),
        ("host:\r\ncontent-length: 2\r\n", "{}", "400"),
        ("host: localhost\r\ntransfer-encoding: gzip, chunked\r\n", "2\r\n{}\r\n0\r\n\r\n", "501"),
        ("host: localhost\r\ntransfer-encoding: chunked, chunked\r\n", "2\r\n{}\r\n0\r\n\r\n", "400"),
        (
            "host: localhost\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            "2\r\n{}\r\n0\r\n\r\n",
            "400",
        ),
        ("host: localhost\r\ntransfer-encoding: chunked, gzip\r\n", "", "400"),
        ("host: localhost\r\ncontent-length: 2\r\ncontent-length: 3\r\n", "{}", "400"),
        ("host: localhost\r\ncontent-length: 2\r\nexpect: magic\r\n", "{}", "417"),
        ("host: localhost\r\ncontent-length: 2\r\nno colon\r\n", "{}", "400"),
    ] {
        let answer = send("/in/github", lines, body).await;
        if expected == "200" {
            assert_eq!(status(&answer), expected, "{lines}\n{answer}");
        } else {
            assert_problem(&answer, expected);
        }
    }
    for (target, expected) in [
        ("/in/g%69thub", "200"),
        ("/in/github?a=%61", "200"),
        ("http://elsewhere/in/github", "200"),
        ("/in/github/", "404"),
        ("//in/github", "404"),
        ("/in//github", "404"),
        ("/in/../in/github", "404"),
        ("/in/github%2F", "404"),
        ("/in/GitHub", "404"),
        ("ftp://localhost/in/github", "400"),
        ("*", "400"),
    ] {
        assert_eq!(status(&send(target, WHOLE, "{}").await), expected, "{target}");
    }
    let old = format!("POST /in/github HTTP/1.0\r\nx-hub-signature-256: {}\r\n", signature(b"{}"));
    let answer = exchange(region.address, &[&format!("{old}content-length: 2\r\n\r\n{{}}")]).await;
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    assert_problem(&exchange(region.address, &["CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n"]).await, "501");
    assert_problem(&exchange(region.address, &["what is this\r\n\r\n"]).await, "400");
    assert_eq!(region.nats.messages(Lane::Standard).await, 7, "what was refused was not stored");
}

#[tokio::test]
async fn methods_are_answered_by_what_the_path_takes() {
    let region = Region::with_source("{}").await;
    let ask = async |method: &str, target: &str| {
        let head = format!("{method} {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        exchange(region.address, &[&head]).await
    };
    for (method, target, expected, allow) in [
        ("HEAD", "/readyz", "200", None),
        ("HEAD", "/in/github", "405", Some("POST, OPTIONS")),
        ("GET", "/in/github", "405", Some("POST, OPTIONS")),
        ("BREW", "/in/github", "405", Some("POST, OPTIONS")),
        ("OPTIONS", "/in/github", "204", Some("POST, OPTIONS")),
        ("OPTIONS", "/in/nobody", "404", None),
        ("POST", "/readyz", "405", Some("GET, HEAD, OPTIONS")),
        ("OPTIONS", "/readyz", "204", Some("GET, HEAD, OPTIONS")),
        ("OPTIONS", "*", "204", Some("GET, HEAD, POST, OPTIONS")),
        ("HEAD", "/nowhere", "404", None),
    ] {
        let answer = ask(method, target).await;
        assert_eq!(status(&answer), expected, "{method} {target}: {answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let allowed = head.lines().find_map(|line| line.strip_prefix("allow: "));
        assert_eq!(allowed, allow, "{method} {target}");
        assert_eq!(body.is_empty(), method == "HEAD" || expected == "204", "{answer}");
    }
    let (head, get) = (ask("HEAD", "/readyz").await, ask("GET", "/readyz").await);
    let length =
        |answer: &str| answer.lines().find(|line| line.starts_with("content-length: ")).map(str::to_owned);
    assert_eq!((length(&head), length(&get)), (Some("content-length: 6".into()), length(&head)));
}

#[tokio::test]
async fn nobody_is_asked_for_a_body_that_is_refused() {
    let region = Region::with_source(r#"{"max_body_bytes": 1000}"#).await;
    let unsigned = |method: &str, target: &str, length: usize| {
        format!(
            "{method} {target} HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    let waiting = |lines: &str| signed("/in/github", &format!("host: a\r\nexpect: 100-continue\r\n{lines}"));
    for (head, expected) in [
        (unsigned("POST", "/in/nobody", 2), "404"),
        (unsigned("POST", "/nowhere", 2), "404"),
        (unsigned("PUT", "/in/github", 2), "405"),
        (unsigned("POST", "/readyz", 2), "405"),
        (unsigned("POST", "/in/github", 2), "401"),
        (waiting("content-length: 1001\r\n"), "413"),
        (waiting("content-length: 2\r\ncontent-encoding: br\r\n"), "415"),
        (waiting("content-length: 2\r\nexpect: magic\r\n"), "417"),
        (waiting("transfer-encoding: gzip, chunked\r\n"), "501"),
    ] {
        let answer = exchange(region.address, &[&head]).await;
        assert_problem(&answer, expected);
        assert!(answer.contains("connection: close"), "{answer}");
    }

    let mut stream = TcpStream::connect(region.address).await.unwrap();
    stream.write_all(waiting("content-length: 2\r\n").as_bytes()).await.unwrap();
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"{}").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(status(&answer), "200", "{answer}");

    // An empty bucket is known before the body, which is what its 429 says first.
    let limit = r#"{"rate_limit": {"per_second": 1, "burst": 1}}"#;
    region.configure(region.snapshot(2, limit)).await;
    let post = signed("/in/github", WHOLE) + "{}";
    until("the bucket is empty", async || status(&exchange(region.address, &[&post]).await) == "429").await;
    until("nobody is asked for what comes now", async || {
        exchange(region.address, &[&post]).await;
        status(&exchange(region.address, &[&waiting("content-length: 2\r\n"), "{}"]).await) == "429"
    })
    .await;
    let mut old = region.snapshot(3, r#"{"max_config_age_seconds": 60}"#);
    old.created_at_us -= 3_600_000_000;
    region.configure(old).await;
    until("the configuration is too old", async || {
        status(&exchange(region.address, &[&waiting("content-length: 2\r\n"), "{}"]).await) == "503"
    })
    .await;
}

#[tokio::test]
async fn a_large_head_is_refused_however_it_is_cut() {
    let region = Region::with_source("{}").await;
    let with = |fields: usize, bytes: usize| {
        let mut lines = WHOLE.to_owned();
        for field in 0..fields {
            lines += &format!("x-{field}: {}\r\n", "x".repeat(bytes));
        }
        signed("/in/github", &lines) + "{}"
    };
    let limit = 32 * 1024;
    let exactly = with(1, 0).len() - 2;
    for (request, expected) in [
        (with(1, limit - exactly), "200"),
        (with(1, limit - exactly + 1), "431"),
        (with(1, 40_000), "431"),
        (with(96, 1), "200"),
        (with(97, 1), "431"),
        (with(1, 200_000), "431"),
    ] {
        let pieces: Vec<&str> =
            request.as_bytes().chunks(8_000).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
        for answer in [exchange(region.address, &[&request]).await, exchange(region.address, &pieces).await] {
            if expected == "200" {
                assert_eq!(status(&answer), expected, "{}: {answer}", request.len());
            } else {
                assert_problem(&answer, expected);
                assert!(answer.contains("headers-too-large"), "{answer}");
            }
        }
    }
    let target = format!("/in/github?{}", "x".repeat(20_000));
    assert_eq!(status(&exchange(region.address, &[&(signed(&target, WHOLE) + "{}")]).await), "200");
}
