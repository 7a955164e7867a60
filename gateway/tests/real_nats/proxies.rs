//! What a proxy says of a sender's address counts everywhere: who may send, and what the event records.

use floodgate_event::proto::Block;
use floodgate_event::{Lane, subject};
use http::Request;
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{signature, signed};
use crate::region::{Region, until};

/// A region whose source takes requests of 192.0.2.0/24 alone.
async fn region(settings: &str) -> Region {
    let table = format!("[proxies]\ntrusted = [\"127.0.0.0/8\"]\n{settings}");
    let region = Region::bare("plaintext = true", &table).await;
    region.nats.provision().await;
    let mut snapshot = region.snapshot(1, "{}");
    for source in snapshot.sources.values_mut() {
        source.settings.allow = vec!["192.0.2.0/24".to_owned()];
    }
    region.configure(snapshot).await;
    region
}

/// The address that the last event records.
async fn recorded(region: &Region) -> String {
    let stream =
        region.nats.context().await.get_stream(subject::regional_stream(Lane::Standard)).await.unwrap();
    let last = stream.cached_info().state.last_sequence;
    let block = Block::decode(stream.get_raw_message(last).await.unwrap().payload).unwrap();
    block.events.last().unwrap().request.as_ref().unwrap().remote_address.clone()
}

fn from(sender: &str) -> Request<bytes::Bytes> {
    let mut request = signed(format!("{{\"of\": \"{sender}\"}}"));
    request.headers_mut().insert("x-forwarded-for", sender.parse().unwrap());
    request
}

#[tokio::test]
async fn a_header_of_a_trusted_proxy_names_the_sender() {
    let region = region("forwarded = \"x-forwarded-for\"").await;
    region.until_ready().await;
    let mut client = region.client().await;
    let accepted = client.send(from("198.51.100.7, 192.0.2.1")).await;
    assert_eq!(accepted.status, 200, "{}", accepted.body);
    assert_eq!(recorded(&region).await, "192.0.2.1:0");
    for sender in ["192.0.2.1, 198.51.100.7", "nonsense"] {
        assert_eq!(client.send(from(sender)).await.status, 401, "{sender}");
    }
    assert_eq!(client.post("{}").await.status, 401, "the proxy itself may not send");
    region.stop().await.unwrap();
}

/// The status of a post on a connection that begins so; 0 if it is closed without an answer.
async fn posted(region: &Region, header: &str) -> u16 {
    let mut stream = TcpStream::connect(region.address).await.unwrap();
    let body = format!("{{\"of\": \"{}\"}}", header.trim());
    let request = format!(
        "{header}POST /in/github HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-hub-signature-256: {}\r\n\
         content-length: {}\r\n\r\n{body}",
        signature(body.as_bytes()),
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // A reset is no answer either.
    let _ = stream.read_to_string(&mut answer).await;
    answer.get(9..12).map_or(0, |status| status.parse().unwrap())
}

#[tokio::test]
async fn a_connection_of_a_trusted_proxy_begins_with_the_senders_address() {
    let region = region("protocol = \"proxy\"").await;
    until("it listens", async || TcpStream::connect(region.address).await.is_ok()).await;
    let sender = "PROXY TCP4 192.0.2.1 198.51.100.1 1234 443\r\n";
    until("it is accepted", async || posted(&region, sender).await == 200).await;
    assert_eq!(recorded(&region).await, "192.0.2.1:1234");
    assert_eq!(posted(&region, "PROXY TCP4 198.51.100.7 198.51.100.1 1234 443\r\n").await, 401);
    assert_eq!(posted(&region, "PROXY UNKNOWN\r\n").await, 401, "the proxy itself may not send");
    assert_eq!(posted(&region, "").await, 0);
    let metrics = region.metrics().await;
    assert!(metrics.contains("floodgate_connections_cut_total{reason=\"proxy_malformed\"} 1"), "{metrics}");
    region.stop().await.unwrap();
}
