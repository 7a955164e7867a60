//! The access log of a gateway, and the sender's trace in it and in the event.

use std::io::Write;
use std::sync::{Arc, Mutex};

use floodgate_event::proto::Block;
use floodgate_event::{Lane, subject};
use floodgate_ingress::AccessOutput;
use prost::Message as _;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::client::{exchange, signed};
use crate::region::{Region, until};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The line of this outcome, once there is one.
    async fn line(&self, outcome: &str) -> Value {
        let mut found = None;
        until(outcome, async || {
            let lines = self
                .text()
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap())
                .collect::<Vec<_>>();
            found = lines.into_iter().find(|line| line["outcome"] == outcome);
            found.is_some()
        })
        .await;
        found.unwrap()
    }
}

async fn region(table: &str) -> (Region, Written) {
    let written = Written::default();
    let output = AccessOutput(Box::new(written.clone()));
    let region = Region::changed(|config| config.access_output = output, "plaintext = true", table).await;
    region.nats.provision().await;
    region.configure(region.snapshot(1, "{}")).await;
    region.until_ready().await;
    (region, written)
}

#[tokio::test]
async fn requests_get_a_line_and_events_the_trace_of_their_sender() {
    let table = "[access_log]\nsuccess_one_in = 1\nrefusal_one_in = 1\nlines_per_second = 100000\n";
    let (region, written) = region(table).await;
    let mut client = region.client().await;
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let mut request = signed("{}");
    *request.uri_mut() = "/in/github?key=not-for-logs".parse().unwrap();
    request.headers_mut().insert("traceparent", parent.parse().unwrap());
    request.headers_mut().insert("tracestate", "vendor=1".parse().unwrap());
    request.headers_mut().insert("authorization", "not-for-logs".parse().unwrap());
    let accepted = client.send(request).await;
    assert_eq!(accepted.status, 200, "{}", accepted.body);

    let line = written.line("accepted").await;
    let body: Value = serde_json::from_str(&accepted.body).unwrap();
    for (key, expected) in [
        ("method", Value::from("POST")),
        ("path", "/in/github".into()),
        ("protocol", "HTTP/1.1".into()),
        ("source", "github".into()),
        ("status", 200.into()),
        ("event_id", body["id"].clone()),
        ("bytes_in", 2.into()),
        ("trace_id", TRACE.into()),
    ] {
        assert_eq!(line[key], expected, "{key} of {line}");
    }
    assert!(
        line["peer"].as_str().unwrap().starts_with("127.0.0.1:") && line["duration_us"].as_u64() > Some(0)
    );

    let mut forged = signed("{}");
    *forged.body_mut() = bytes::Bytes::from_static(b"{ }");
    assert_eq!(client.send(forged).await.status, 401);
    let refused = written.line("signature-refused").await;
    assert_eq!((&refused["status"], &refused["source"]), (&401.into(), &"github".into()));
    assert!(refused.get("event_id").is_none());
    let stream = TcpStream::connect(region.address).await.unwrap();
    assert!(exchange(stream, b"nonsense\r\n\r\n").await.starts_with("HTTP/1.1 400"));
    assert!(written.line("malformed").await.get("path").is_none());
    assert!(!written.text().contains("not-for-logs"));

    let stream =
        region.nats.context().await.get_stream(subject::regional_stream(Lane::Standard)).await.unwrap();
    let last = stream.cached_info().state.last_sequence;
    let block = Block::decode(stream.get_raw_message(last).await.unwrap().payload).unwrap();
    let event = block.events.last().unwrap();
    assert_eq!((event.traceparent.as_str(), event.tracestate.as_str()), (&*parent, "vendor=1"));
    region.stop().await.unwrap();
}

#[tokio::test]
async fn only_what_is_chosen_gets_a_line_and_the_rest_is_counted() {
    let (quiet, nothing) = region("").await;
    assert_eq!(quiet.client().await.post("{}").await.status, 200);
    quiet.stop().await.unwrap();
    // Whatever was written would be there by now.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(nothing.text(), "");

    let (region, written) = region("[access_log]\nrefusal_one_in = 1\nlines_per_second = 1\n").await;
    let mut client = region.client().await;
    assert_eq!(client.post("{}").await.status, 200);
    for _ in 0..20 {
        assert_eq!(client.get("/nowhere").await, 404);
    }
    // The first seconds may have had their lines.
    until("there is a line", async || {
        client.get("/nowhere").await;
        written.text().contains("not-found")
    })
    .await;
    let metrics = region.metrics().await;
    let left_out = metrics.lines().find_map(|line| line.strip_prefix("floodgate_access_log_left_out_total "));
    assert!(left_out.unwrap().parse::<u32>().unwrap() >= 1, "{metrics}");
    assert!(!written.text().contains("accepted"));
    region.stop().await.unwrap();
}
