//! A port stops soon, whatever its peers do.

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::served::{Served, bounds, read_to_end, within};

#[tokio::test]
async fn peers_that_wait_for_nothing_keep_nobody_waiting() {
    let served = Served::tls(bounds());
    let silent = served.connect_tls(&["h2"]).await;
    let mut half = served.connect_tls(&["http/1.1"]).await;
    half.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n").await.unwrap();
    let mut slow = served.connect_tls(&["http/1.1"]).await;
    slow.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf").await.unwrap();
    let mut unread = served.connect_tls(&["http/1.1"]).await;
    unread.write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    // Not even a handshake.
    let raw = served.connect().await;
    let stream = served.connect_tls(&["h2"]).await;
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get("https://localhost/").body(Empty::<Bytes>::new()).unwrap();
    assert_eq!(within("it answers", sender.send_request(request)).await.unwrap().status(), 200);

    served.begin_to_stop();
    served.stopped().await;
    let _ = within("the idle one is told", connection).await;
    drop((silent, half, slow, unread, raw));
}

#[tokio::test]
async fn a_request_whose_rest_comes_at_once_is_answered() {
    let served = Served::plain(bounds());
    let mut slow = served.connect().await;
    slow.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhe").await.unwrap();
    let mut answered = served.connect().await;
    answered.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut start = [0; 12];
    within("it is answered", answered.read_exact(&mut start)).await.unwrap();
    served.begin_to_stop();
    slow.write_all(b"llo").await.unwrap();
    let answer = read_to_end(slow).await;
    assert!(answer.ends_with(b"hello"), "{}", String::from_utf8_lossy(&answer));
    served.stopped().await;
}

#[tokio::test]
async fn who_is_cut_off_ends() {
    let served = Served::plain(bounds());
    let stream = served.connect().await;
    served.until("it is open", |served| served.metrics.open.get() == 1).await;
    served.begin_to_stop();
    served.cut_off();
    served.stopped().await;
    drop(stream);
}
