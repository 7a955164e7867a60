//! Peers that would have the port hold much for little.

use std::time::Duration;

use bytes::Bytes;
use floodgate_listen::{Bounds, Budget, Shares};
use floodgate_testkit::frames;
use http::Request;
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncWriteExt as _;

use crate::served::{Served, bounds, read_to_end, within};

#[tokio::test]
async fn a_header_block_that_is_not_ended_is_counted_for_what_it_becomes() {
    let served = Served::tls(bounds());
    let mut stream = served.connect_tls(&["h2"]).await;
    stream.write_all(frames::PREFACE).await.unwrap();
    stream.write_all(&frames::unfinished(1, &frames::fields(300))).await.unwrap();
    served.until("its fields are counted", |served| served.budget.used() > 300 * 100).await;
    drop(stream);
    served.until("they are gone", |served| served.budget.used() == 0).await;
}

#[tokio::test]
async fn half_heads_are_counted_and_end_where_there_is_no_memory_for_them() {
    let served = Served::with_budget(bounds(), Budget::unshared(200_000));
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = served.connect().await;
        let head = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}", "x".repeat(12_000));
        // It may be closed at once.
        let _ = stream.write_all(head.as_bytes()).await;
        streams.push(stream);
    }
    served.until("some are refused", |served| served.cut("memory") >= 10).await;
    assert!(served.budget.used() <= 200_000);
    drop(streams);
    served.until("there is memory again", |served| served.budget.used() == 0).await;
    let mut honest = served.connect().await;
    honest.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(read_to_end(honest).await.starts_with(b"HTTP/1.1 200"));
}

/// Answers of 8 MiB that nobody reads: as many as the connection's share, however many are asked for.
#[tokio::test]
async fn a_connection_takes_no_more_than_its_share_for_answers() {
    let shares =
        Shares { total: 64 << 20, kept: 8 << 20, address: 56 << 20, connection: 20 << 20, small: 64 << 10 };
    let served = Served::tls_with_budget(bounds(), Budget::new(shares));
    let stream = served.connect_tls(&["h2"]).await;
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(1_000)
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let mut answers = Vec::new();
    for _ in 0..5 {
        let request = Request::get("https://localhost/large").body(Empty::new()).unwrap();
        answers.push(within("it answers", sender.clone().send_request(request)).await.unwrap());
    }
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status().as_u16()).collect();
    assert_eq!(statuses, [200, 200, 503, 503, 503]);
    assert!(served.budget.used() <= 20 << 20);
    drop((answers, sender, connection));
    served.until("the memory is back", |served| served.budget.used() == 0).await;
}

#[tokio::test]
async fn a_tls_handshake_is_bounded() {
    let served = Served::tls(Bounds { handshake: Duration::from_secs(600), ..bounds() });
    let mut stream = served.connect().await;
    // A record of a handshake message that announces 60,000 bytes, over several records.
    let mut record = vec![22, 3, 1, 0x40, 0];
    record.extend([1, 0, 0xea, 0x60]);
    record.resize(5 + 0x4000, 0);
    for _ in 0..3 {
        // It may be closed at once.
        let _ = stream.write_all(&record).await;
    }
    read_to_end(stream).await;
}
