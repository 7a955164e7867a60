//! What one address or one connection may have of a gateway.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request};
use http_body_util::Full;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{Client, connect_from, exchange, signature, signed};
use crate::region::{Region, until};
use crate::tls;

fn closing(body: &str) -> String {
    format!(
        "POST /in/github HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-hub-signature-256: {}\r\n\
         content-length: {}\r\n\r\n{body}",
        signature(body.as_bytes()),
        body.len()
    )
}

#[tokio::test]
async fn an_address_with_too_many_connections_is_cut_and_another_is_served() {
    let limits = "[limits]\nmax_connections = 100\naddress_connections_percent = 5\n";
    let region = Region::with_tables(limits, "{}").await;
    let mut greedy = Vec::new();
    for _ in 0..20 {
        greedy.push(connect_from(3, region.address).await);
    }
    let cut = "floodgate_connections_cut_total{reason=\"address_connections\"} 15";
    until("all but five are cut", async || region.metrics().await.contains(cut)).await;
    assert_eq!(exchange(connect_from(3, region.address).await, closing("1").as_bytes()).await, "");
    let other = exchange(connect_from(2, region.address).await, closing("2").as_bytes()).await;
    assert!(other.starts_with("HTTP/1.1 200"), "{other}");
    drop(greedy);
    until("it is served again", async || {
        let answer = exchange(connect_from(3, region.address).await, closing("3").as_bytes()).await;
        answer.starts_with("HTTP/1.1 200")
    })
    .await;
    region.stop().await.unwrap();
}

fn with_fields(count: usize) -> Request<Bytes> {
    let mut request = signed("{}");
    // Beside `host` and `content-length`, which the client adds.
    let more = count - request.headers().len() - 2;
    for number in 0..more {
        let name = HeaderName::try_from(format!("x-{number}")).unwrap();
        request.headers_mut().insert(name, HeaderValue::from_static("1"));
    }
    request
}

#[tokio::test]
async fn the_number_of_headers_is_a_setting_of_both_protocols() {
    let region = Region::with_tables("[limits]\nmax_header_fields = 20\n", "{}").await;
    assert_eq!(region.client().await.send(with_fields(20)).await.status, 200);
    let refused = region.client().await.send(with_fields(21)).await;
    assert_eq!(refused.status, 431);
    assert!(refused.body.contains("at most 20 headers"), "{}", refused.body);
    region.stop().await.unwrap();

    let (files, authority) = tls::Files::new();
    let region = files.region_with(|config| config.limits.max_header_fields = 20).await;
    let mut sender = tls::http2(region.address, &authority).await;
    let mut status = async |count: usize| {
        let mut request = with_fields(count).map(Full::new);
        // HTTP/2 has no `host`.
        request.headers_mut().insert("x-host", HeaderValue::from_static("1"));
        *request.uri_mut() = "https://localhost/in/github".parse().unwrap();
        sender.send_request(request).await.unwrap().status().as_u16()
    };
    assert_eq!((status(20).await, status(21).await), (200, 431));
    region.stop().await.unwrap();
}

#[tokio::test]
async fn a_connection_ends_in_good_order_after_its_last_request() {
    let region = Region::with_tables("[limits]\nmax_connection_requests = 3\n", "{}").await;
    let requests = closing("4").replace("connection: close\r\n", "").repeat(5);
    let stream = TcpStream::connect(region.address).await.unwrap();
    let answers = exchange(stream, requests.as_bytes()).await;
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 3, "{answers}");
    assert_eq!(answers.matches("connection: close").count(), 1, "{answers}");
    let counted = "floodgate_connections_cut_total{reason=\"requests\"} 1";
    until("it is counted", async || region.metrics().await.contains(counted)).await;
    region.stop().await.unwrap();

    let (files, authority) = tls::Files::new();
    let region = files.region_with(|config| config.limits.max_connection_requests = 3).await;
    let ready = async || Client::connect(region.operations).await.get("/readyz").await == 200;
    until("the gateway is ready", ready).await;
    // One of the three is behind it.
    let sender = tls::http2(region.address, &authority).await;
    let post = |number: usize| {
        let mut request = signed(number.to_string()).map(Full::new);
        *request.uri_mut() = "https://localhost/in/github".parse().unwrap();
        sender.clone().send_request(request)
    };
    let (one, two) = tokio::join!(post(1), post(2));
    assert_eq!([one, two].map(|answer| answer.unwrap().status().as_u16()), [200, 200]);
    until("it is closed", async || sender.is_closed()).await;
    until("it is counted", async || region.metrics().await.contains(counted)).await;
    region.stop().await.unwrap();
}

#[tokio::test]
async fn an_address_has_a_rate_and_is_told_of_it_before_it_sends_a_body() {
    let limits = "[limits]\naddress_per_second = 1\naddress_burst = 3\n";
    let region = Region::with_tables(limits, "{}").await;
    let mut client = Client::from(2, region.address).await;
    let mut answers = Vec::new();
    for number in 0..8 {
        answers.push(client.post(&number.to_string()).await);
    }
    assert!(answers[..3].iter().all(|answer| answer.status == 200));
    let limited = answers.iter().find(|answer| answer.status == 429).expect("one is over the rate");
    assert_eq!(limited.headers["ratelimit-policy"], "\"address\";q=1;w=1");
    assert_eq!(limited.headers["ratelimit"], "\"address\";r=0;t=1");
    assert_eq!(limited.headers["retry-after"], "1");
    assert!(limited.body.contains("the rate limit of the address"), "{}", limited.body);

    let asking = closing("{}").replace("host: a\r\n", "host: a\r\nexpect: 100-continue\r\n");
    let head = asking.trim_end_matches("{}");
    until("it is over its rate", async || {
        let answer = exchange(connect_from(2, region.address).await, head.as_bytes()).await;
        answer.starts_with("HTTP/1.1 429")
    })
    .await;

    let mut other = Client::from(4, region.address).await;
    assert_eq!(other.post("other").await.status, 200);
    let metrics = region.metrics().await;
    let counted = "floodgate_ingest_requests_total{outcome=\"rate-limited\",source=\"-\"}";
    assert!(metrics.contains(counted), "{metrics}");
    let known = metrics.lines().find_map(|line| line.strip_prefix("floodgate_rated_addresses "));
    assert!(known.unwrap().parse::<u32>().unwrap() >= 1, "{metrics}");
    region.stop().await.unwrap();
}

/// A body that nobody needs is waited for while it comes at a usual pace, and no longer: its connection or
/// stream takes memory all the while.
#[tokio::test]
async fn a_refused_body_that_comes_drop_by_drop_is_not_waited_for() {
    let region = Region::with_source("{}").await;
    let mut stream = TcpStream::connect(region.address).await.unwrap();
    let head = b"POST /in/nobody HTTP/1.1\r\nhost: a\r\ncontent-length: 30000\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut answer = [0; 12];
    // Fewer pieces than would take the five seconds that a body may take in all.
    for _ in 0..40 {
        let _ = stream.write_all(b"0123456789").await;
        if timeout(Duration::from_millis(100), stream.read_exact(&mut answer)).await.is_ok() {
            break;
        }
    }
    assert_eq!(&answer, b"HTTP/1.1 404");
    region.stop().await.unwrap();
}
