//! Keep-alive connections that each send one signed event after the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use floodgate_testkit::{Failure, Result, sign};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::cpu;
use crate::times::percentile;

/// The size of each event's body.
pub(crate) const EVENT_BYTES: usize = 1024;
/// How many different events there are; they are signed beforehand, so that signing is not measured.
const EVENTS: usize = 8 * 1024;

/// Signed events, ready to be sent.
#[derive(Clone)]
pub(crate) struct Load {
    path: Arc<str>,
    events: Arc<[Event]>,
    next: Arc<AtomicUsize>,
}

struct Event {
    body: Bytes,
    headers: Vec<(&'static str, HeaderValue)>,
}

/// What is sent to.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// The processes that do its work.
    pub(crate) processes: Vec<u32>,
}

/// What one round came to.
pub(crate) struct Round {
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// Processor time of the server's processes, per request.
    pub(crate) cpu: Duration,
}

impl Load {
    pub(crate) fn prepare(source: &str, secret: &str) -> Result<Self> {
        let events = (0..EVENTS).map(|number| event(source, secret, number)).collect::<Result<_>>()?;
        Ok(Self { path: format!("/in/{source}").into(), events, next: Arc::default() })
    }

    /// Sends for `length` over `connections`. Any answer but 200 fails the round.
    pub(crate) async fn run(&self, server: &Server, connections: usize, length: Duration) -> Result<Round> {
        let address = server.address;
        let mut senders = Vec::new();
        for _ in 0..connections {
            senders.push(connect(address).await?);
        }
        let before = cpu::used(&server.processes)?;
        let started = Instant::now();
        let deadline = started + length;
        let mut tasks: JoinSet<Result<Vec<Duration>>> = JoinSet::new();
        for sender in senders {
            tasks.spawn(self.clone().send(sender, address, deadline));
        }
        let mut times = Vec::new();
        while let Some(task) = tasks.join_next().await {
            times.extend(task??);
        }
        let used = cpu::used(&server.processes)?.saturating_sub(before);
        Round::of(times, started.elapsed(), used)
    }

    async fn send(
        self,
        mut sender: SendRequest<Full<Bytes>>,
        address: SocketAddr,
        deadline: Instant,
    ) -> Result<Vec<Duration>> {
        let host = HeaderValue::from_str(&address.to_string())?;
        let mut times = Vec::new();
        while Instant::now() < deadline {
            let request = self.request(&host)?;
            let started = Instant::now();
            let answer = sender.send_request(request).await?;
            let status = answer.status();
            let body = answer.into_body().collect().await?.to_bytes();
            if status != StatusCode::OK {
                return Err(Failure::new(format!("answered {status}: {}", String::from_utf8_lossy(&body))));
            }
            times.push(started.elapsed());
        }
        Ok(times)
    }

    fn request(&self, host: &HeaderValue) -> Result<Request<Full<Bytes>>> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let event = &self.events[number % self.events.len()];
        let mut request =
            Request::post(&*self.path).header("host", host).body(Full::new(event.body.clone()))?;
        for (name, value) in &event.headers {
            request.headers_mut().insert(*name, value.clone());
        }
        Ok(request)
    }
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

fn event(source: &str, secret: &str, number: usize) -> Result<Event> {
    let start = format!(r#"{{"id":"evt_{number}","type":"bench.sent","padding":""#);
    let body = format!("{start}{}\"}}", "x".repeat(EVENT_BYTES - start.len() - 2));
    let signed = sign::github(source, secret, "bench", &format!("delivery-{number}"), body)?;
    let header = |(name, value): (&'static str, String)| Ok((name, HeaderValue::try_from(value)?));
    let headers = signed.headers.into_iter().map(header).collect::<Result<_>>()?;
    Ok(Event { body: signed.body, headers })
}

impl Round {
    fn of(mut times: Vec<Duration>, length: Duration, used: Duration) -> Result<Self> {
        times.sort_unstable();
        Ok(Self {
            per_second: times.len() as f64 / length.as_secs_f64(),
            p50: percentile(&times, 50)?,
            p99: percentile(&times, 99)?,
            cpu: used.div_f64(times.len() as f64),
        })
    }
}
