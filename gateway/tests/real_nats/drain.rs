//! Shutting down cuts nothing that was accepted.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::signature;
use crate::region::{Region, until};

#[tokio::test]
async fn a_request_under_way_is_answered_and_the_connection_closed() {
    let region = Region::with_source("{}").await;
    let mut slow = TcpStream::connect(region.address).await.unwrap();
    let head = format!(
        "POST /in/github HTTP/1.1\r\nhost: localhost\r\nx-hub-signature-256: {}\r\ncontent-length: 2\r\n\r\n{{",
        signature(b"{}")
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    region.shutdown.cancel();
    let mut client = region.client().await;
    until("it says that it is draining", async || region.client().await.get("/readyz").await == 503).await;
    let during = client.post("1").await;
    assert_eq!((during.status, &during.headers["connection"]), (200, &"close".parse().unwrap()));

    let address = region.address;
    let stopped = tokio::spawn(region.stop());
    until("it accepts no more", async || TcpStream::connect(address).await.is_err()).await;
    slow.write_all(b"}").await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    stopped.await.unwrap().unwrap();
}
