//! A consumer: an HTTP server that remembers every delivery before it answers.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::Result;

/// More than any delivery of these tests.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// One request that Floodgate made.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// `webhook-id`: the event's id.
    pub id: String,
    /// `floodgate-attempt`.
    pub attempt: u32,
    /// Every header.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Bytes,
}

impl Delivery {
    /// A header's value, empty where it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// A running consumer. It stops when dropped.
pub struct Consumer {
    address: SocketAddr,
    state: Arc<State>,
    server: JoinHandle<()>,
}

struct State {
    deliveries: Mutex<Vec<Delivery>>,
    status: AtomicU16,
    delay_ms: AtomicU64,
}

impl Consumer {
    /// Starts one on a free port of the loopback address; it answers 204 at once.
    ///
    /// # Errors
    /// If no port can be had.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            deliveries: Mutex::default(),
            status: AtomicU16::new(StatusCode::NO_CONTENT.as_u16()),
            delay_ms: AtomicU64::new(0),
        });
        let server = tokio::spawn(serve(listener, Arc::clone(&state)));
        Ok(Self { address, state, server })
    }

    /// Where deliveries go.
    pub fn url(&self) -> String {
        format!("http://{}/hooks", self.address)
    }

    /// From now on it answers with this status.
    pub fn answer_with(&self, status: StatusCode) {
        self.state.status.store(status.as_u16(), Ordering::Relaxed);
    }

    /// From now on it takes this long to answer.
    pub fn answer_after(&self, delay: Duration) {
        self.state.delay_ms.store(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// What came so far, in order.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.state.deliveries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many came so far, repeats included.
    pub fn count(&self) -> usize {
        self.state.deliveries.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// How often each event came.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let deliveries = self.state.deliveries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts = BTreeMap::new();
        for delivery in deliveries.iter() {
            *counts.entry(delivery.id.clone()).or_default() += 1;
        }
        counts
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve_connection(stream, Arc::clone(&state)));
    }
}

/// A connection that breaks is the other side's affair: it is what the tests do to it.
async fn serve_connection(stream: TcpStream, state: Arc<State>) {
    let service = service_fn(move |request| answer(request, Arc::clone(&state)));
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY_BYTES).collect().await else {
        return Ok(status(StatusCode::BAD_REQUEST));
    };
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: BTreeMap<_, _> =
        head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let delivery = Delivery {
        id: headers.get("webhook-id").cloned().unwrap_or_default(),
        attempt: headers.get("floodgate-attempt").and_then(|number| number.parse().ok()).unwrap_or_default(),
        headers,
        body: body.to_bytes(),
    };
    state.deliveries.lock().unwrap_or_else(PoisonError::into_inner).push(delivery);
    tokio::time::sleep(Duration::from_millis(state.delay_ms.load(Ordering::Relaxed))).await;
    Ok(status(StatusCode::from_u16(state.status.load(Ordering::Relaxed)).unwrap_or(StatusCode::NO_CONTENT)))
}

fn status(status: StatusCode) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    response
}
