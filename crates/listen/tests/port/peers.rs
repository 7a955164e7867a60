//! Peers that send nothing more, or read nothing.

use std::time::Duration;

use bytes::Bytes;
use floodgate_listen::Bounds;
use floodgate_testkit::frames;
use http::Request;
use http_body_util::{Empty, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::served::{Served, bounds, read_to_end, within};

const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn who_sends_no_request_is_not_kept_in_any_protocol() {
    let served = Served::tls(Bounds { head: SHORT, connections: 3, ..bounds() });
    // A preface with settings and nothing more is no request either.
    let silent = served.connect_tls(&["h2"]).await;
    let mut polite = served.connect_tls(&["h2"]).await;
    polite.write_all(frames::PREFACE).await.unwrap();
    let mut half = served.connect_tls(&["http/1.1"]).await;
    half.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n").await.unwrap();
    // All three places are taken, and are free again.
    let mut honest = within("there is a place", served.connect_tls(&["http/1.1"])).await;
    honest.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(read_to_end(honest).await.starts_with(b"HTTP/1.1 200"));
    for stream in [silent, polite, half] {
        read_to_end(stream).await;
    }
}

/// With times that the test does not live to see.
#[tokio::test]
async fn while_others_wait_an_idle_connection_gives_up_its_place() {
    let served = Served::tls(Bounds { connections: 3, ..bounds() });
    let silent = served.connect_tls(&["h2"]).await;
    let mut half = served.connect_tls(&["http/1.1"]).await;
    half.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n").await.unwrap();
    let raw = served.connect().await;
    served.until("all places are taken", |served| served.metrics.open.get() == 3).await;
    let mut honest = within("there is a place", served.connect_tls(&["http/1.1"])).await;
    honest.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(read_to_end(honest).await.starts_with(b"HTTP/1.1 200"));
    drop((silent, half, raw));
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_one_in_use_is_not() {
    let served = Served::tls(Bounds { head: SHORT, ..bounds() });
    let stream = served.connect_tls(&["h2"]).await;
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    for _ in 0..8 {
        let request = Request::get("https://localhost/").body(Full::new(Bytes::from_static(b"x"))).unwrap();
        assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
        tokio::time::sleep(SHORT / 3).await;
    }
    // By GOAWAY, as a client that pools connections expects.
    let ended = within("it is closed", connection).await.unwrap();
    assert!(ended.is_ok(), "{ended:?}");
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_not_kept() {
    let served = Served::plain(Bounds { write: SHORT, ..bounds() });
    let mut one = served.connect().await;
    one.write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut pipelined = served.connect().await;
    let requests = b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 20000\r\n\r\n".to_vec();
    let body = vec![b'x'; 20_000];
    let sending = tokio::spawn(async move {
        // Until the other side takes no more.
        while pipelined.write_all(&requests).await.is_ok() && pipelined.write_all(&body).await.is_ok() {}
    });
    served.until("both are cut off", |served| served.cut("unread") == 2).await;
    within("it hears of it", sending).await.unwrap();
    served.until("the memory is back", |served| served.budget.used() == 0).await;
    drop(one);
}

#[tokio::test]
async fn a_slow_reader_gets_all_of_it() {
    let served = Served::plain(Bounds { write: SHORT, ..bounds() });
    let mut stream = served.connect().await;
    stream.write_all(b"GET /large HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let (mut total, mut piece) = (0, vec![0; 1 << 20]);
    loop {
        let read = stream.read(&mut piece).await.unwrap();
        if read == 0 {
            break;
        }
        total += read;
        tokio::time::sleep(SHORT / 10).await;
    }
    assert!(total > crate::served::LARGE);
}

/// Its socket takes everything, pings too; only the window of the stream is shut.
#[tokio::test]
async fn a_window_that_is_never_opened_is_noticed_beside_other_requests() {
    let served = Served::tls(Bounds { write: SHORT, ..bounds() });
    let stream = served.connect_tls(&["h2"]).await;
    let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(1_000)
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let get =
        |path: &str| Request::get(format!("https://localhost{path}")).body(Empty::<Bytes>::new()).unwrap();
    let unread = sender.send_request(get("/large")).await.unwrap();
    let others = async {
        while let Ok(response) = sender.send_request(get("/")).await {
            assert_eq!(response.status(), 200);
            tokio::time::sleep(SHORT / 10).await;
        }
    };
    within("it is cut off", others).await;
    assert_eq!(served.cut("unread"), 1);
    drop((unread, connection));
}

#[tokio::test]
async fn a_burst_of_connections_waits_in_the_backlog() {
    let most: u32 = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse().unwrap();
    let listener = floodgate_listen::bind("127.0.0.1:0".parse().unwrap(), 4_096).unwrap();
    let address = listener.local_addr().unwrap();
    // Nobody accepts.
    let connects: Vec<_> = (0..600.min(most)).map(|_| TcpStream::connect(address)).collect();
    let connected = within("all are connected", futures::future::join_all(connects)).await;
    assert!(connected.iter().all(Result::is_ok));
}
