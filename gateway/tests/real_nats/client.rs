//! An HTTP/1.1 client with one kept-alive connection, that signs as GitHub does.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::region::SECRET;

/// A connection that sends one request after the other.
pub(crate) struct Client(SendRequest<Full<Bytes>>);

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Client {
    /// Tries for as long as a gateway takes to start.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        // On a machine that is busy with other tests.
        for _ in 0..1_500 {
            if let Ok(stream) = TcpStream::connect(address).await {
                return Self::over(stream).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("nobody listens on {address}");
    }

    /// Over a connection that is there.
    pub(crate) async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    /// From this address of the loopback network.
    pub(crate) async fn from(last: u8, address: SocketAddr) -> Self {
        let (sender, connection) = handshake(TokioIo::new(connect_from(last, address).await)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    pub(crate) async fn get(&mut self, path: &str) -> u16 {
        self.send(Request::get(path).body(Bytes::new()).unwrap()).await.status
    }

    /// Posts a body with its signature.
    pub(crate) async fn post(&mut self, body: &str) -> Answer {
        self.send(signed(body.to_owned())).await
    }

    /// The same to another source.
    pub(crate) async fn post_to(&mut self, source: &str, body: &str) -> Answer {
        let mut request = signed(body.to_owned());
        *request.uri_mut() = format!("/in/{source}").parse().unwrap();
        self.send(request).await
    }

    pub(crate) async fn send(&mut self, request: Request<Bytes>) -> Answer {
        let mut request = request.map(Full::new);
        request.headers_mut().insert("host", "localhost".parse().unwrap());
        Answer::read(self.0.send_request(request).await.unwrap()).await
    }
}

/// A connection from this address of the loopback network.
pub(crate) async fn connect_from(last: u8, address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, last], 0).into()).unwrap();
    socket.connect(address).await.unwrap()
}

/// Sends bytes and reads until the other side closes. A connection that is reset has no more to say.
pub(crate) async fn exchange(mut stream: TcpStream, bytes: &[u8]) -> String {
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

impl Answer {
    async fn read(response: Response<Incoming>) -> Self {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Self { status: parts.status.as_u16(), headers: parts.headers, body }
    }
}

/// A signed request to the source `github`.
pub(crate) fn signed(body: impl Into<Bytes>) -> Request<Bytes> {
    let body = body.into();
    let signature = signature(&body);
    Request::post("/in/github").header("x-hub-signature-256", signature).body(body).unwrap()
}

pub(crate) fn signature(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}
