//! The header of the [PROXY protocol](https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt), version 1
//! (a line of text) and version 2 (binary), at the start of a connection. Nothing beyond it is taken from the
//! socket, so what follows is left for TLS or HTTP.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::sleep;

/// The most bytes of a line of version 1, as the protocol has it.
const MAX_LINE: usize = 107;
/// The bytes of version 2 that say how many more there are.
const FIXED: usize = 16;
/// The most further bytes of version 2: the longest addresses, or shorter ones and 180 bytes of fields
/// (TLVs).
const MAX_REST: usize = 216;
/// The most bytes of a header.
pub(super) const MAX_BYTES: usize = FIXED + MAX_REST;
const LINE_BEGINS: &[u8] = b"PROXY ";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// How often the first bytes of a connection are looked at again while they may still become a header.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What is wrong with the start of a connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The peer left before it sent a byte, as probes do.
    #[error("the connection ended before its first byte")]
    Nothing,
    #[error("{0}")]
    Lost(#[source] io::Error),
    #[error("no PROXY header in time")]
    Late,
    #[error("expected a PROXY header")]
    Malformed,
    #[error("a PROXY header of more than {MAX_LINE} bytes (version 1) or {MAX_BYTES} bytes (version 2)")]
    TooLong,
    #[error("a PROXY header from a network that is not trusted")]
    Untrusted,
}

impl Fault {
    /// The label of the metric that counts connections which this side cut off.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Nothing | Self::Lost(_) => None,
            Self::Late => Some("proxy_late"),
            Self::Malformed => Some("proxy_malformed"),
            Self::TooLong => Some("proxy_too_long"),
            Self::Untrusted => Some("proxy_untrusted"),
        }
    }
}

/// Reads the header that a trusted proxy must send. Returns the sender's address, or none if the proxy speaks
/// for itself (`LOCAL`) or does not know it (`UNKNOWN`).
pub(crate) async fn read(stream: &mut TcpStream) -> Result<Option<SocketAddr>, Fault> {
    let mut bytes = [0; MAX_BYTES];
    let mut taken = 0;
    loop {
        let seen = taken + stream.peek(&mut bytes[taken..]).await.map_err(Fault::Lost)?;
        if seen == taken {
            return Err(if taken == 0 { Fault::Nothing } else { Fault::Malformed });
        }
        let whole = length(&bytes[..seen])?;
        // These bytes are there, so this does not wait.
        let end = whole.unwrap_or(seen);
        stream.read_exact(&mut bytes[taken..end]).await.map_err(Fault::Lost)?;
        if whole.is_some() {
            return parse(&bytes[..end]);
        }
        taken = end;
    }
}

/// Waits for the first bytes of a peer that must not send a header, and takes none of them.
pub(crate) async fn refuse(stream: &TcpStream) -> Result<(), Fault> {
    let mut bytes = [0; SIGNATURE.len()];
    loop {
        let seen = stream.peek(&mut bytes).await.map_err(Fault::Lost)?;
        let seen = &bytes[..seen];
        if seen.is_empty() {
            return Err(Fault::Nothing);
        }
        if seen.starts_with(LINE_BEGINS) || seen.starts_with(SIGNATURE) {
            return Err(Fault::Untrusted);
        }
        if !LINE_BEGINS.starts_with(seen) && !SIGNATURE.starts_with(seen) {
            return Ok(());
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// How many of these bytes are the header. None if more are needed to know.
pub(super) fn length(bytes: &[u8]) -> Result<Option<usize>, Fault> {
    if begins(bytes, LINE_BEGINS) {
        let line = &bytes[..bytes.len().min(MAX_LINE)];
        return match line.iter().position(|byte| *byte == b'\n') {
            Some(end) => Ok(Some(end + 1)),
            None if line.len() == MAX_LINE => Err(Fault::TooLong),
            None => Ok(None),
        };
    }
    if !begins(bytes, SIGNATURE) {
        return Err(Fault::Malformed);
    }
    let Some(&[high, low]) = bytes.get(FIXED - 2..FIXED) else { return Ok(None) };
    match usize::from(u16::from_be_bytes([high, low])) {
        rest if rest > MAX_REST => Err(Fault::TooLong),
        rest if bytes.len() < FIXED + rest => Ok(None),
        rest => Ok(Some(FIXED + rest)),
    }
}

/// Returns true if the bytes begin so, as far as they are there.
fn begins(bytes: &[u8], start: &[u8]) -> bool {
    bytes.starts_with(start) || start.starts_with(bytes)
}

pub(super) fn parse(bytes: &[u8]) -> Result<Option<SocketAddr>, Fault> {
    let config = ParseConfig { include_tlvs: false, ..ParseConfig::default() };
    match ProxyHeader::parse(bytes, config) {
        Ok((header, length)) if length == bytes.len() => match header.proxied_address() {
            Some(address) if address.protocol == Protocol::Datagram => Err(Fault::Malformed),
            Some(address) => Ok(Some(canonical(address.source))),
            None => Ok(None),
        },
        _ => Err(Fault::Malformed),
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
