//! The yardstick: hyper, the same HMAC over the same bytes, the same answer, and nothing else.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::Stdio;

use bytes::Bytes;
use floodgate_testkit::{Failure, Result};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sha2::Sha256;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::load::Server;
use crate::region::SECRET;

/// What this program is called with to be the yardstick.
pub(crate) const ARGUMENT: &str = "bare";

/// A running yardstick.
pub(crate) struct Bare {
    address: SocketAddr,
    child: Child,
}

impl Bare {
    pub(crate) fn server(&self) -> Server {
        Server { address: self.address, processes: self.child.id().into_iter().collect() }
    }
}

/// Starts it as a process of its own.
pub(crate) async fn start() -> Result<Bare> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(ARGUMENT)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let out = child.stdout.take().ok_or_else(|| Failure::new("no output"))?;
    let line = BufReader::new(out).lines().next_line().await?.ok_or_else(|| Failure::new("no address"))?;
    Ok(Bare { address: line.parse()?, child })
}

/// Is the yardstick: prints its address and serves until it is killed.
pub(crate) async fn serve() -> Result<()> {
    let key = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(connection(stream, key.clone()));
    }
}

async fn connection(stream: TcpStream, key: Hmac<Sha256>) -> hyper::Result<()> {
    let answer = service_fn(|request| {
        let mac = key.clone();
        async move { Ok::<_, Infallible>(check(request, mac).await) }
    });
    http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await
}

async fn check(request: Request<Incoming>, mac: Hmac<Sha256>) -> Response<Full<Bytes>> {
    let signature = request.headers().get("x-hub-signature-256").cloned();
    match request.into_body().collect().await.map(|body| body.to_bytes()) {
        Ok(body) if holds(signature, &body, mac) => accepted(),
        Ok(_) => refused(StatusCode::UNAUTHORIZED),
        Err(_) => refused(StatusCode::BAD_REQUEST),
    }
}

fn holds(signature: Option<HeaderValue>, body: &[u8], mut mac: Hmac<Sha256>) -> bool {
    let signature = signature.as_ref().and_then(|value| value.as_bytes().strip_prefix(b"sha256="));
    let tag = signature.and_then(|text| hex::decode(text).ok());
    mac.update(body);
    tag.is_some_and(|tag| mac.verify_slice(&tag).is_ok())
}

fn accepted() -> Response<Full<Bytes>> {
    let body = r#"{"id":"evt_00000000000000000000000000","status":"accepted"}"#;
    let mut response = Response::new(Full::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn refused(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
