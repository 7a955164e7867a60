//! Bytes that are nearly HTTP/1.1, sent to a port.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::io::AsyncWriteExt as _;

use crate::served::{Served, bounds, read_to_end};

const SEEDS: [&[u8]; 8] = [
    b"GET /sender HTTP/1.1\r\nhost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello",
    b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nx: y\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n{}",
    b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\nGET /sender HTTP/1.1\r\nhost: a\r\n\r\n",
    b"POST http://a/ HTTP/1.0\r\ncontent-length: 1\r\n\r\nx",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];

/// Pieces that change where a message ends.
const PIECES: [&[u8]; 14] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"\r\n ",
    b"content-length: 5\r\n",
    b"content-length: +5\r\n",
    b"transfer-encoding: chunked\r\n",
    b"transfer-encoding: chunked, identity\r\n",
    b"fffffffffffffffff\r\n",
    b"connection: close\r\n",
];

fn messages() -> impl Strategy<Value = Vec<u8>> {
    let seed = prop::sample::select(SEEDS.to_vec());
    let piece = prop_oneof![
        prop::sample::select(PIECES.to_vec()).prop_map(<[u8]>::to_vec),
        prop::collection::vec(any::<u8>(), 1..3),
    ];
    let change = (any::<prop::sample::Index>(), 0..4_usize, prop::option::of(piece));
    (prop::collection::vec(seed, 1..3), prop::collection::vec(change, 0..5)).prop_map(|(seeds, changes)| {
        let mut bytes = seeds.concat();
        for (at, length, piece) in changes {
            let start = at.index(bytes.len() + 1);
            let end = (start + length).min(bytes.len());
            bytes.splice(start..end, piece.unwrap_or_default());
        }
        bytes
    })
}

/// Reads the answers one after the other. None if the bytes are anything else.
fn answers(mut bytes: &[u8]) -> Option<Vec<(u16, bool)>> {
    let mut all = vec![];
    while !bytes.is_empty() {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = str::from_utf8(&bytes[..end]).ok()?.to_ascii_lowercase();
        let mut lines = head.split("\r\n");
        let status = lines.next()?.strip_prefix("http/1.")?.split(' ').nth(1)?.parse::<u16>().ok()?;
        let field = |name: &str| lines.clone().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let length = field("content-length:").map_or(Some(0), |length| length.parse::<usize>().ok())?;
        all.push((status, field("connection:") == Some("close")));
        bytes = bytes.get(end + 4 + length..)?;
    }
    Some(all)
}

/// Whatever arrives, what leaves is whole answers, none after one that ends the connection, and nothing is
/// kept.
#[test]
fn what_is_nearly_http_gets_whole_answers_and_leaves_nothing_behind() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let served = runtime.block_on(async { Served::plain(bounds()) });
    let mut runner = TestRunner::new(Config { cases: 1_500, ..Config::default() });
    let ran = runner.run(&messages(), |message| {
        let answer = runtime.block_on(async {
            let mut stream = served.connect().await;
            // The port may have closed it, and what it said before still counts.
            let _ = stream.write_all(&message).await;
            let _ = stream.shutdown().await;
            read_to_end(stream).await
        });
        let shown = || {
            (String::from_utf8_lossy(&message).into_owned(), String::from_utf8_lossy(&answer).into_owned())
        };
        let Some(all) = answers(&answer) else { return Err(TestCaseError::fail(format!("{:?}", shown()))) };
        let last = all.iter().position(|(_, closes)| *closes).unwrap_or(all.len());
        prop_assert!(last + 1 >= all.len(), "an answer after the end: {:?}", shown());
        for (status, _) in &all {
            let known = matches!(status, 100 | 200 | 400 | 408 | 413 | 414 | 417 | 431 | 501 | 503 | 505);
            prop_assert!(known, "{:?}", shown());
        }
        Ok(())
    });
    ran.unwrap();
    runtime.block_on(async {
        served.until("nothing is kept", |served| served.budget.used() == 0).await;
        let mut stream = served.connect().await;
        stream.write_all(b"GET /sender HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
        let answer = String::from_utf8(read_to_end(stream).await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    });
}
