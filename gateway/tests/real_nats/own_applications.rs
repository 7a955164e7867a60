//! What own applications send with a bearer token: one event or a batch.

mod answers;
mod refused;
mod stored;

use bytes::Bytes;
use http::Request;
use serde_json::Value;

use crate::client::Answer;
use crate::region::Region;

pub(crate) const TOKEN: &str = "0c1f6f7c5be24b0f9a5c7d2f8e3b1a64";
pub(crate) const OTHER_TOKEN: &str = "d41d8cd98f00b204e9800998ecf8427e";
pub(crate) const BATCH: &str = "application/json";

/// A region with the source `shop`, with this JSON as its intake.
async fn region(intake: &str) -> Region {
    let region = Region::bare("plaintext = true", "").await;
    region.nats.provision().await;
    let mut snapshot = region.snapshot(1, "{}");
    snapshot.sources.insert("shop".parse().unwrap(), region.application("shop", &[TOKEN], intake));
    region.configure(snapshot).await;
    region.until_ready().await;
    region
}

/// A request with the token of `shop`.
fn request(content_type: &str, body: impl Into<Bytes>) -> Request<Bytes> {
    Request::post("/v1/events")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", content_type)
        .body(body.into())
        .unwrap()
}

async fn send(region: &Region, request: Request<Bytes>) -> Answer {
    region.client().await.send(request).await
}

/// An event of this id and type.
fn event(id: &str, event_type: &str) -> String {
    format!(r#"{{"id": "{id}",  "type":"{event_type}", "cents": 1.10}}"#)
}

/// An array of events with these ids and types.
fn array(events: &[(&str, &str)]) -> String {
    let events: Vec<String> = events.iter().map(|(id, event_type)| event(id, event_type)).collect();
    format!("[{}]", events.join(", "))
}

fn json(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{} {}", answer.status, answer.body))
}

/// What an answer says of each event.
fn each(answer: &Answer) -> Vec<(String, String)> {
    let events = json(answer)["events"].as_array().cloned().unwrap_or_else(|| panic!("{}", answer.body));
    let text = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
    events.iter().map(|event| (text(event, "id"), text(event, "status"))).collect()
}

fn ids(answer: &Answer) -> Vec<String> {
    each(answer).into_iter().map(|(id, _)| id).collect()
}

fn statuses(answer: &Answer) -> Vec<String> {
    each(answer).into_iter().map(|(_, status)| status).collect()
}
