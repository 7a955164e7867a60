//! Bounds of what one address or one connection may have.

use std::time::Duration;

use bytes::Bytes;
use floodgate_listen::{Bounds, Budget, Proxies};
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::served::{Served, bounds, read_to_end, within};

const CLOSING: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

async fn is_served(mut stream: TcpStream) -> bool {
    // It may be closed at once.
    let _ = stream.write_all(CLOSING).await;
    read_to_end(stream).await.starts_with(b"HTTP/1.1 200")
}

#[tokio::test]
async fn an_address_with_all_its_connections_keeps_no_other_out() {
    let served = Served::plain(Bounds { address_connections: 2, ..bounds() });
    let greedy = [served.connect_from(1).await, served.connect_from(1).await];
    served.until("both are open", |served| served.metrics.open.get() == 2).await;
    assert!(!is_served(served.connect_from(1).await).await);
    assert_eq!(served.cut("address_connections"), 1);
    assert!(is_served(served.connect_from(2).await).await);
    drop(greedy);
    served.until("both have ended", |served| served.metrics.open.get() == 0).await;
    assert!(is_served(served.connect_from(1).await).await);
}

#[tokio::test]
async fn a_proxy_has_any_number_and_the_senders_behind_it_have_not() {
    let proxies = Proxies { trusted: vec!["127.0.0.1/32".parse().unwrap()], protocol: true, forwarded: None };
    let bounds = Bounds { address_connections: 1, ..bounds() };
    let served = Served::behind(proxies, bounds, Budget::unshared(64 << 20));
    let open = async |header: &str| {
        let mut stream = served.connect_from(1).await;
        stream.write_all(header.as_bytes()).await.unwrap();
        stream
    };
    let one = "PROXY TCP4 192.0.2.1 198.51.100.1 1234 443\r\n";
    let held = [open("").await, open("").await, open(one).await];
    served.until("all are open", |served| served.metrics.open.get() == 3).await;
    let other = open("PROXY TCP4 192.0.2.2 198.51.100.1 1234 443\r\n").await;
    assert!(is_served(other).await);
    served.until("the first has its place", |served| served.metrics.open.get() == 3).await;
    assert!(!is_served(open(one).await).await);
    assert_eq!(served.cut("address_connections"), 1);
    drop(held);
}

/// The beginning of a ClientHello, of which nothing more comes.
const HALF_HELLO: &[u8] = &[22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3];

#[tokio::test]
async fn handshakes_that_are_held_back_keep_no_other_address_waiting() {
    let served = Served::tls(Bounds { handshakes: 2, address_handshakes: 1, ..bounds() });
    // Who says nothing takes no turn.
    let silent = [served.connect_from(2).await, served.connect_from(3).await];
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = served.connect_from(1).await;
        stream.write_all(HALF_HELLO).await.unwrap();
        held.push(stream);
    }
    served.until("all are open", |served| served.metrics.open.get() == 5).await;
    let stream = served.connect_from(2).await;
    let mut honest = within("it has its turn", served.shake_hands(stream, &["http/1.1"])).await;
    honest.write_all(CLOSING).await.unwrap();
    assert!(read_to_end(honest).await.starts_with(b"HTTP/1.1 200"));
    drop((silent, held));
}

#[tokio::test]
async fn a_connection_that_waits_in_vain_for_its_handshake_is_cut() {
    let handshake = Duration::from_secs(1);
    let served = Served::tls(Bounds { handshakes: 2, address_handshakes: 1, handshake, ..bounds() });
    // The first to begin has more time left than the other, unless the machine is too slow to see it begin.
    for _ in 0..20 {
        let mut waiting = served.connect().await;
        tokio::time::sleep(handshake / 3).await;
        let mut first = served.connect().await;
        first.write_all(HALF_HELLO).await.unwrap();
        tokio::time::sleep(handshake / 5).await;
        let _ = waiting.write_all(HALF_HELLO).await;
        read_to_end(waiting).await;
        drop(first);
        served.until("both have ended", |served| served.metrics.open.get() == 0).await;
        if served.cut("handshakes") > 0 {
            return;
        }
    }
    panic!("no connection was cut while it waited for its handshake");
}

#[tokio::test]
async fn a_connection_of_http_1_ends_with_its_last_request() {
    let served = Served::plain(Bounds { connection_requests: 2, ..bounds() });
    let mut stream = served.connect().await;
    stream.write_all(&b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(3)).await.unwrap();
    let answers = String::from_utf8(read_to_end(stream).await).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 2, "{answers}");
    let last = answers.rfind("HTTP/1.1 200").unwrap();
    assert_eq!(answers.find("connection: close").map(|at| at > last), Some(true), "{answers}");
    served.until("it is counted", |served| served.cut("requests") == 1).await;
}

#[tokio::test]
async fn a_connection_of_http_2_ends_in_good_order() {
    let served = Served::tls(Bounds { connection_requests: 3, ..bounds() });
    let stream = served.connect_tls(&["h2"]).await;
    let (sender, connection) =
        http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let get = || Request::get("https://localhost/").body(Empty::new()).unwrap();
    let answers = (0..3).map(|_| sender.clone().send_request(get()));
    let answers = within("all are answered", futures::future::join_all(answers)).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap().status() == 200));
    let ended = within("it is closed", connection).await.unwrap();
    assert!(ended.is_ok(), "by GOAWAY: {ended:?}");
    served.until("it is counted", |served| served.cut("requests") == 1).await;
}

/// The second request is not read before the first one is answered, and waits in a buffer meanwhile.
#[tokio::test]
async fn requests_that_were_sent_ahead_are_counted_and_bounded() {
    let served = Served::plain(bounds());
    let mut stream = served.connect().await;
    let never = b"GET /never HTTP/1.1\r\nhost: a\r\n\r\n";
    stream.write_all(never).await.unwrap();
    served.until("it is there", |served| served.budget.used() > 16 * 1024).await;
    let one = served.budget.used();
    let mut ahead = served.connect().await;
    let requests = [&never[..], &b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(200)].concat();
    ahead.write_all(&requests).await.unwrap();
    let sent = requests.len() - never.len();
    served.until("they are counted", |served| served.budget.used() >= 2 * one + sent).await;
    // Until the other side takes no more.
    let more = vec![b'x'; 64 * 1024];
    while let Ok(Ok(())) = tokio::time::timeout(Duration::from_millis(300), ahead.write_all(&more)).await {}
    let most = 2 * one + bounds().head_bytes;
    assert!(served.budget.used() <= most, "{} and at most {most}", served.budget.used());
    drop((stream, ahead));
}

#[tokio::test]
async fn a_stream_is_counted_when_it_opens_and_refused_where_there_is_no_memory_for_it() {
    let served = Served::tls_with_budget(bounds(), Budget::unshared(110 * 1024));
    let stream = served.connect_tls(&["h2"]).await;
    // Windows in which no answer has room.
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(0)
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let mut waiting = Vec::new();
    let refused = loop {
        let request = Request::get("https://localhost/never").body(Empty::new()).unwrap();
        let mut answer = tokio::spawn(sender.clone().send_request(request));
        // The connection, and each stream.
        let least = (16 + 20 * (waiting.len() + 1)) * 1024;
        let counted = async {
            while served.budget.used() < least {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            answer = &mut answer => break answer.unwrap().unwrap(),
            () = within("it is counted or refused", counted) => waiting.push(answer),
        }
    };
    assert_eq!(refused.status(), 503);
    assert!(within("it has no content", refused.into_body().collect()).await.unwrap().to_bytes().is_empty());
    assert!((3..5).contains(&waiting.len()), "{} streams in 110 KiB", waiting.len());
    // The connection is closed once none of its requests waits.
    waiting.iter().for_each(JoinHandle::abort);
    connection.abort();
    served.until("the memory is back", |served| served.budget.used() == 0).await;
}

#[tokio::test]
async fn the_number_of_fields_is_a_bound_of_its_own() {
    let answer = async |most: usize, fields: usize| {
        let served = Served::plain(Bounds { head_fields: most, ..bounds() });
        let mut stream = served.connect().await;
        let fields = "x: 1\r\n".repeat(fields - 2);
        let head = format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{fields}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; 12];
        within("it answers", stream.read_exact(&mut answer)).await.unwrap();
        String::from_utf8(answer).unwrap()
    };
    assert_eq!((answer(20, 20).await, answer(20, 21).await), ("HTTP/1.1 200".into(), "HTTP/1.1 400".into()));
    assert_eq!(
        (answer(100, 100).await, answer(100, 101).await),
        ("HTTP/1.1 200".into(), "HTTP/1.1 400".into())
    );
    assert_eq!(answer(200, 150).await, "HTTP/1.1 200");
}
