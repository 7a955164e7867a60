//! What is refused of what own applications send, and what is said then.

use bytes::Bytes;
use floodgate_event::Lane;
use http::{Method, Request};

use super::{BATCH, OTHER_TOKEN, TOKEN, array, event, json, region, request, send};
use crate::region::{Region, until};

#[tokio::test]
async fn a_batch_is_taken_whole_or_not_at_all() {
    let intake = r#"{"types": ["t"], "max_body_bytes": 2000, "rate_limit": {"per_second": 1, "burst": 10}}"#;
    let region = region(intake).await;
    let good = event("a", "t");
    for (content_type, body, status, index, said) in [
        (
            BATCH,
            format!("[{good},{good},{{\"id\":\"b\"}}]"),
            400,
            Some(2),
            "`type`: expected a string of 1 to 512",
        ),
        ("application/x-ndjson", format!("{good}\n{{\n"), 400, Some(1), "not JSON"),
        (BATCH, format!("[{good}"), 400, Some(1), "not a JSON array from byte"),
        (BATCH, "[]".to_owned(), 400, None, "no event: expected 1 to 1000"),
        (BATCH, "7".to_owned(), 400, None, "expected a JSON object"),
        (BATCH, array(&[("a", "t"), ("b", "u")]), 422, Some(1), "event 1: the source does not take"),
        (BATCH, event("a", "u"), 422, None, ""),
        (
            "application/cloudevents-batch+json",
            format!("[{good}]"),
            400,
            Some(0),
            "`specversion`: expected `1.0`",
        ),
        (BATCH, array(&[("a", "t"); 11]), 413, None, "at most 10 events"),
        (BATCH, array(&[("a", "t"); 100]), 413, None, "at most 2000 bytes"),
        ("text/csv", good.clone(), 415, None, "application/x-ndjson"),
    ] {
        let answer = send(&region, request(content_type, body.clone())).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        let problem = json(&answer);
        assert_eq!(problem["event"].as_u64(), index, "{body}: {problem}");
        assert!(problem["detail"].as_str().unwrap_or_default().contains(said), "{body}: {problem}");
    }
    assert_eq!(region.nats.messages(Lane::Standard).await, 0, "nothing of it was enqueued");

    let answer = send(&region, request(BATCH, array(&[("a", "t"); 8]))).await;
    assert_eq!(answer.status, 200, "refused batches take nothing of the rate: {}", answer.body);
    let limited = send(&region, request(BATCH, array(&[("a", "t"); 8]))).await;
    assert_eq!((limited.status, limited.headers.contains_key("retry-after")), (429, true), "events count");
}

#[tokio::test]
async fn who_has_no_token_learns_nothing() {
    let region = region("{}").await;
    let with = |authorization: Option<&str>, path: &str| {
        let mut request = request(BATCH, array(&[("a", "t")]));
        *request.uri_mut() = path.parse().unwrap();
        request.headers_mut().remove("authorization");
        if let Some(value) = authorization {
            request.headers_mut().insert("authorization", value.parse().unwrap());
        }
        request
    };
    let other = format!("Bearer {OTHER_TOKEN}");
    let basic = format!("Basic {TOKEN}");
    let mut answers = Vec::new();
    for authorization in [None, Some("Bearer"), Some("Bearer x"), Some(other.as_str()), Some(basic.as_str())]
    {
        let answer = send(&region, with(authorization, "/v1/events")).await;
        assert_eq!((answer.status, &answer.headers["www-authenticate"]), (401, &"Bearer".parse().unwrap()));
        answers.push(answer.body);
    }
    assert!(answers.iter().all(|body| *body == answers[0] && !body.contains("shop")), "{answers:?}");
    let mut twice = with(Some(&other), "/v1/events");
    twice.headers_mut().append("authorization", format!("Bearer {TOKEN}").parse().unwrap());
    assert_eq!(send(&region, twice).await.body, answers[0]);

    let to_source = send(&region, with(Some("Bearer x"), "/in/shop")).await;
    assert_eq!((to_source.status, &to_source.headers["www-authenticate"]), (401, &"Bearer".parse().unwrap()));
}

#[tokio::test]
async fn the_path_has_its_methods() {
    let region = region("{}").await;
    for (method, status) in
        [(Method::OPTIONS, 204), (Method::GET, 405), (Method::PUT, 405), (Method::DELETE, 405)]
    {
        let request = Request::builder().method(method.clone()).uri("/v1/events").body(Bytes::new()).unwrap();
        let answer = send(&region, request).await;
        assert_eq!(
            (answer.status, &answer.headers["allow"]),
            (status, &"POST, OPTIONS".parse().unwrap()),
            "{method}"
        );
    }
    let mut elsewhere = request(BATCH, event("a", "t"));
    *elsewhere.uri_mut() = "/v1/events/".parse().unwrap();
    assert_eq!(send(&region, elsewhere).await.status, 404);
}

#[tokio::test]
async fn a_sources_own_path_takes_one_event() {
    let region = region("{}").await;
    let to_source = |body: String| {
        let mut request = request(BATCH, body);
        *request.uri_mut() = "/in/shop".parse().unwrap();
        request
    };
    let one = send(&region, to_source(event("a", "t"))).await;
    let there = send(&region, request(BATCH, event("a", "t"))).await;
    assert_eq!((one.status, &one.body), (200, &there.body), "the same event, wherever it is sent");
    let batch = send(&region, to_source(array(&[("a", "t")]))).await;
    assert_eq!(batch.status, 400, "{}", batch.body);
    assert!(batch.body.contains("`/v1/events` takes batches"), "{}", batch.body);
}

#[tokio::test]
async fn a_token_of_two_sources_finds_neither() {
    let region = Region::bare("plaintext = true", "").await;
    region.nats.provision().await;
    let mut snapshot = region.snapshot(1, "{}");
    for (name, tokens) in [("cafe", &[OTHER_TOKEN, TOKEN][..]), ("shop", &[TOKEN])] {
        snapshot.sources.insert(name.parse().unwrap(), region.application(name, tokens, "{}"));
    }
    region.configure(snapshot.clone()).await;
    region.until_ready().await;
    let shared = send(&region, request(BATCH, event("a", "t"))).await;
    assert_eq!(shared.status, 503, "{}", shared.body);
    assert!(shared.body.contains("the token is that of several sources"), "{}", shared.body);
    let mut own = request(BATCH, event("a", "t"));
    own.headers_mut().insert("authorization", format!("Bearer {OTHER_TOKEN}").parse().unwrap());
    assert_eq!(send(&region, own).await.status, 200, "a token that only one of them has");
    until("it says so", async || {
        region.report().await.is_some_and(|report| {
            let reasons: Vec<_> = report.refused.iter().map(|refused| refused.reason.as_str()).collect();
            reasons.len() == 2 && reasons.iter().all(|reason| reason.contains("has the same token"))
        })
    })
    .await;

    snapshot.revision = 2;
    snapshot.sources.insert("cafe".parse().unwrap(), region.application("cafe", &[OTHER_TOKEN], "{}"));
    region.configure(snapshot).await;
    until("the token finds its source", async || {
        send(&region, request(BATCH, event("a", "t"))).await.status == 200
    })
    .await;
}
