//! HTTP/2: what hyper leaves to the gateway.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;

use crate::client::signed;
use crate::tls;

type Sender = SendRequest<Full<Bytes>>;

fn to(target: &str, request: Request<Bytes>) -> Request<Full<Bytes>> {
    let mut request = request.map(Full::new);
    *request.uri_mut() = format!("https://localhost{target}").parse().unwrap();
    request
}

async fn answer(sender: &mut Sender, request: Request<Full<Bytes>>) -> (Response<()>, Bytes) {
    let response = sender.send_request(request).await.unwrap();
    let (parts, body): (_, Incoming) = response.into_parts();
    // A body where none belongs is a stream error.
    let body = body.collect().await.unwrap().to_bytes();
    (Response::from_parts(parts, ()), body)
}

async fn status(sender: &mut Sender, request: Request<Full<Bytes>>) -> u16 {
    answer(sender, request).await.0.status().as_u16()
}

#[tokio::test]
async fn heads_and_answers_are_held_to_the_standard() {
    let (files, authority) = tls::Files::new();
    let region = files.region().await;
    let sender = &mut tls::http2(region.address, &authority).await;

    let head = Request::head("/").body(Bytes::new()).unwrap();
    let (response, body) = answer(sender, to("/readyz", head)).await;
    assert_eq!(
        (response.status().as_u16(), response.headers()["content-length"].to_str().unwrap()),
        (200, "6")
    );
    assert!(body.is_empty());
    let options = Request::options("/").body(Bytes::new()).unwrap();
    let (response, body) = answer(sender, to("/in/github", options)).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["allow"]),
        (204, &HeaderValue::from_static("POST, OPTIONS"))
    );
    assert!(body.is_empty());

    let with = |name: &'static str, value: &str| {
        let mut request = signed("{}");
        request.headers_mut().append(HeaderName::from_static(name), value.parse().unwrap());
        to("/in/github", request)
    };
    assert_eq!(status(sender, with("host", "localhost")).await, 200);
    assert_eq!(status(sender, with("host", "LOCALHOST:443")).await, 200);
    assert_eq!(status(sender, with("host", "elsewhere")).await, 400);
    assert_eq!(status(sender, with("host", "a b")).await, 400);
    assert_eq!(status(sender, with("expect", "100-continue")).await, 200);
    assert_eq!(status(sender, with("expect", "magic")).await, 417);
    assert_eq!(status(sender, to("/in/g%69thub", signed("{}"))).await, 200);

    let (response, body) = answer(sender, with("x-long", &"x".repeat(40_000))).await;
    assert_eq!(response.status(), 431);
    assert!(String::from_utf8(body.to_vec()).unwrap().contains("headers-too-large"));
    assert_eq!(status(sender, with("x-long", &"x".repeat(30_000))).await, 200);
    assert_eq!(status(sender, with("x-long", &"x".repeat(100_000))).await, 431);
    let mut many = with("x-many", "1");
    for _ in 0..100 {
        many.headers_mut().append("x-many", HeaderValue::from_static("1"));
    }
    assert_eq!(status(sender, many).await, 431);
    region.stop().await.unwrap();
}
