//! Lanes that are shed while memory fills up, the least urgent first.

use http::Request;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::client::{Answer, Client, exchange, signature, signed};
use crate::region::{Region, until};

const LIMITS: &str = "[limits]\nmemory_bytes = 12582912\nshed_bulk_percent = 10\nshed_standard_percent = 40\n\
     body_idle_seconds = 600\nbody_seconds = 600\n";
/// `push` is standard.
const INTAKE: &str = r#"{"max_body_bytes": 3000000, "lanes": {"import": "bulk", "payment": "critical"}}"#;

/// Holds so many bytes of memory with a body that does not end.
async fn hold(region: &Region, bytes: usize) -> TcpStream {
    let mut stream = TcpStream::connect(region.address).await.unwrap();
    let head = format!(
        "POST /in/github HTTP/1.1\r\nhost: a\r\nx-github-event: payment\r\nx-hub-signature-256: {}\r\n\
         content-length: 3000000\r\n\r\n",
        signature(b"")
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'x'; bytes]).await.unwrap();
    stream
}

async fn post(client: &mut Client, event_type: &'static str) -> Answer {
    let mut request = signed("{}");
    request.headers_mut().insert("x-github-event", event_type.parse().unwrap());
    client.send(request).await
}

async fn readyz(region: &Region) -> (u16, String) {
    let request = Request::get("/readyz").body(bytes::Bytes::new()).unwrap();
    let answer = region.client().await.send(request).await;
    (answer.status, answer.body)
}

fn check_shed(answer: &Answer, lane: &str) {
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.headers.contains_key("retry-after"));
    assert!(answer.body.contains(&format!("shedding lane {lane}: memory")), "{}", answer.body);
}

#[tokio::test]
async fn bulk_is_shed_first_and_critical_is_taken_to_the_end() {
    let region = Region::with_tables(LIMITS, INTAKE).await;
    let mut snapshot = region.snapshot(2, INTAKE);
    snapshot.sources.insert("imports".parse().unwrap(), region.source_with("imports", r#"{"lane": "bulk"}"#));
    region.configure(snapshot).await;
    let mut client = region.client().await;
    until("both sources are served", async || client.post_to("imports", "{}").await.status == 200).await;
    for event_type in ["import", "push", "payment"] {
        assert_eq!(post(&mut client, event_type).await.status, 200, "{event_type}");
    }

    let mut held = vec![hold(&region, 1_500_000).await];
    until("bulk is shed", async || readyz(&region).await.1.contains("shedding lane bulk: memory")).await;
    let (status, text) = readyz(&region).await;
    assert_eq!((status, text.as_str()), (200, "ready\nshedding lane bulk: memory\n"));
    check_shed(&post(&mut client, "import").await, "bulk");
    assert_eq!(post(&mut client, "push").await.status, 200);

    let only = format!(
        "POST /in/imports HTTP/1.1\r\nhost: a\r\nconnection: close\r\nexpect: 100-continue\r\n\
         x-hub-signature-256: {}\r\ncontent-length: 2\r\n\r\n",
        signature(b"{}")
    );
    let answer = exchange(TcpStream::connect(region.address).await.unwrap(), only.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "it is not asked for a body: {answer}");

    until("standard is shed", async || {
        held.push(hold(&region, 300_000).await);
        readyz(&region).await.1.contains("shedding lane standard: memory")
    })
    .await;
    check_shed(&post(&mut client, "push").await, "standard");
    assert_eq!(post(&mut client, "payment").await.status, 200);
    assert_eq!(readyz(&region).await.0, 200, "critical is taken");

    let metrics = region.metrics().await;
    for expected in [
        "floodgate_events_shed_total{lane=\"bulk\",reason=\"memory\"} 2",
        "floodgate_events_shed_total{lane=\"standard\",reason=\"memory\"} 1",
        "floodgate_lane_shed{lane=\"bulk\"} 1",
        "floodgate_lane_shed{lane=\"critical\"} 0",
        "floodgate_lane_shed{lane=\"standard\"} 1",
    ] {
        assert!(metrics.contains(expected), "{expected} in {metrics}");
    }
    drop(held);
    until("all are taken again", async || readyz(&region).await == (200, "ready\n".to_owned())).await;
    assert_eq!(post(&mut client, "import").await.status, 200);
    region.stop().await.unwrap();
}

/// While the streams acknowledge nothing, events wait.
#[tokio::test]
async fn a_queue_that_fills_sheds_the_lanes_that_may_wait() {
    let limits = "[limits]\nqueue_events = 10\nblock_events = 1\nblocks_in_flight = 1\n\
         publish_timeout_ms = 20000\nshed_bulk_percent = 20\nshed_standard_percent = 50\n";
    let region = Region::with_tables(limits, INTAKE).await;
    region.nats.freeze();
    let mut waiting = tokio::task::JoinSet::new();
    until("standard is shed", async || {
        let mut client = region.client().await;
        waiting.spawn(async move { post(&mut client, "push").await.status });
        readyz(&region).await.1.contains("shedding lane standard: queue")
    })
    .await;
    let mut client = region.client().await;
    for (event_type, lane) in [("import", "bulk"), ("push", "standard")] {
        let answer = post(&mut client, event_type).await;
        assert_eq!(answer.status, 503);
        assert!(answer.body.contains(&format!("shedding lane {lane}: queue")), "{}", answer.body);
    }
    let urgent = tokio::spawn(async move { post(&mut client, "payment").await.status });
    region.nats.thaw();
    assert_eq!(urgent.await.unwrap(), 200);
    let statuses = waiting.join_all().await;
    assert!(statuses.iter().filter(|status| **status == 200).count() >= 5, "{statuses:?}");
    until("all are taken again", async || !readyz(&region).await.1.contains("shedding")).await;
    region.stop().await.unwrap();
}
