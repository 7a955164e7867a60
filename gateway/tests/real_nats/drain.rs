//! Shutting down cuts nothing that was accepted, and waits for nothing else.

use std::time::Duration;

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

/// None of them has a request here whole that is not answered: nobody waits for them, and nothing is lost.
#[tokio::test]
async fn peers_that_hold_requests_back_do_not_keep_a_gateway_from_stopping() {
    let region = Region::with_source("{}").await;
    let mut slow = TcpStream::connect(region.address).await.unwrap();
    slow.write_all(b"POST /in/github HTTP/1.1\r\nhost: localhost\r\n").await.unwrap();
    let signature = signature(b"{}");
    let rest = format!("x-hub-signature-256: {signature}\r\ncontent-length: 2\r\n\r\n{{");
    slow.write_all(rest.as_bytes()).await.unwrap();
    let mut unread = TcpStream::connect(region.address).await.unwrap();
    let requests = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(100);
    // Until the gateway takes no more, because its answers are not taken.
    while let Ok(Ok(())) = tokio::time::timeout(Duration::from_millis(200), unread.write_all(&requests)).await
    {
    }
    let accepted = region.client().await.post("{}").await;
    assert_eq!(accepted.status, 200);
    // In order, and long before `drain.timeout_seconds`.
    let stopped = tokio::time::timeout(Duration::from_secs(20), region.stop()).await;
    stopped.expect("it stops").unwrap();
    drop((slow, unread));
}
