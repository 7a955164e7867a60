//! HTTP/1.1 as bytes on a socket: every request of `tests-data/http1.toml`, whole and in small pieces.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::signature;
use crate::region::Region;

const TABLE: &str = include_str!("../../tests-data/http1.toml");
/// How long the gateway waits for the rest of a request. Long enough for a machine that is busy.
const LIMITS: &str = "[limits]\nheader_seconds = 5\nbody_idle_seconds = 5";
/// How long an exchange may take: as long as the gateway waits once, and not twice.
const LIMIT: Duration = Duration::from_secs(9);
/// How many exchanges run at once.
const AT_ONCE: usize = 16;
/// The most pieces of a request that is cut.
const PIECES: usize = 400;
/// What is asked on a connection that must be kept. Its answer differs from what smuggled requests would get.
const PROBE: &[u8] = b"GET /in/github HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const PROBE_STATUS: &str = "405";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    request: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    rfc: String,
    bytes: String,
    #[serde(default)]
    half_close: bool,
    answers: Vec<String>,
    connection: Connection,
    differs: Option<Difference>,
    in_pieces: Option<Difference>,
}

/// What the gateway does, and why: instead of what the RFC asks for, or of what it does with a request that
/// arrives in one piece.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Difference {
    answers: Vec<String>,
    connection: Connection,
    why: String,
}

#[derive(Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Connection {
    Kept,
    Closed,
    Dropped,
}

/// An answer as it was read.
struct Reply {
    status: String,
    /// Nobody expects another answer after this one.
    is_last: bool,
    /// An event came of the request.
    is_accepted: bool,
}

impl Entry {
    /// What the gateway must do: what the RFC asks for, or the known difference.
    fn expected(&self) -> (&[String], Connection) {
        match &self.differs {
            Some(differs) => (&differs.answers, differs.connection),
            None => (&self.answers, self.connection),
        }
    }

    fn wire(&self) -> Vec<u8> {
        let signature = format!("X-Hub-Signature-256: {}\r\n", signature(b"{}"));
        let post = "POST /in/github HTTP/1.1\r\nHost: a\r\n{signature}";
        let text = self.bytes.replace("{post}", post).replace("{signature}", &signature);
        let byte = |character| u8::try_from(u32::from(character)).expect("a character for each byte");
        repeated(&text).chars().map(byte).collect()
    }

    /// Sends the bytes in pieces of this size. Returns how many events were accepted.
    async fn run(&self, address: SocketAddr, piece: usize) -> Result<usize, String> {
        let read = tokio::time::timeout(LIMIT, self.exchange(address, piece)).await;
        let read = read.map_err(|_| "the connection stays open".to_owned())?;
        let replies = replies(&read, self.bytes.trim_start().starts_with("HEAD "))?;
        self.check(&replies, piece < self.wire().len())?;
        Ok(replies.iter().filter(|reply| reply.is_accepted).count())
    }

    async fn exchange(&self, address: SocketAddr, piece: usize) -> Vec<u8> {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        for piece in self.wire().chunks(piece) {
            // The gateway may have refused and closed already.
            if stream.write_all(piece).await.is_err() {
                break;
            }
        }
        if self.expected().1 == Connection::Kept {
            let _ = stream.write_all(PROBE).await;
        }
        if self.half_close {
            let _ = stream.shutdown().await;
        }
        let mut read = Vec::new();
        // What came before a reset counts.
        let _ = stream.read_to_end(&mut read).await;
        read
    }

    /// A request that is cut may be read in one piece all the same.
    fn check(&self, replies: &[Reply], is_cut: bool) -> Result<(), String> {
        let result = fits(replies, self.expected());
        match &self.in_pieces {
            Some(other) if is_cut && result.is_err() => fits(replies, (&other.answers, other.connection)),
            _ => result,
        }
    }
}

fn fits(replies: &[Reply], (answers, connection): (&[String], Connection)) -> Result<(), String> {
    let mut expected: Vec<&str> = answers.iter().map(String::as_str).collect();
    if connection == Connection::Kept {
        expected.push(PROBE_STATUS);
    }
    let statuses: Vec<&str> = replies.iter().map(|reply| reply.status.as_str()).collect();
    if statuses != expected {
        return Err(format!("{expected:?} was expected and {statuses:?} came"));
    }
    let is_announced = replies.last().is_some_and(|reply| reply.is_last);
    if is_announced == (connection == Connection::Dropped) {
        return Err(format!("the connection is {connection:?}, and the last answer says otherwise"));
    }
    match replies.split_last() {
        Some((_, before)) if before.iter().any(|reply| reply.is_last) => {
            Err("another answer follows the one that was to be the last".to_owned())
        }
        _ => Ok(()),
    }
}

/// The text with `{30*x}` replaced by thirty times an x.
fn repeated(text: &str) -> String {
    let mut pieces = text.split('{');
    let mut whole = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let macro_of = |piece: &str| {
            let (count, rest) = piece.split_once('*')?;
            let (repeated, rest) = rest.split_once('}')?;
            Some(repeated.repeat(count.parse().ok()?) + rest)
        };
        whole += &macro_of(piece).unwrap_or_else(|| format!("{{{piece}"));
    }
    whole
}

/// Every answer in these bytes, and nothing else.
fn replies(mut bytes: &[u8], is_head: bool) -> Result<Vec<Reply>, String> {
    let mut replies = Vec::new();
    while !bytes.is_empty() {
        let end =
            bytes.windows(4).position(|window| window == b"\r\n\r\n").ok_or("an answer's head is cut")?;
        let head = std::str::from_utf8(&bytes[..end]).map_err(|_| "an answer's head is not text")?;
        let has_body = !(is_head && replies.iter().all(|reply: &Reply| reply.status.starts_with('1')));
        let (mut reply, length) = reply(head, has_body).map_err(|fault| format!("{fault} in\n{head}"))?;
        let body = bytes.get(end + 4..end + 4 + length).ok_or("an answer's body is cut")?;
        reply.is_accepted = body.ends_with(b"\"status\":\"accepted\"}");
        replies.push(reply);
        bytes = &bytes[end + 4 + length..];
    }
    Ok(replies)
}

/// Reads an answer's head, held to what RFC 9110 asks of every answer. Returns the length of its body too.
fn reply(head: &str, has_body: bool) -> Result<(Reply, usize), &'static str> {
    let (line, fields) = head.split_once("\r\n").unwrap_or((head, ""));
    let (version, rest) = line.split_once(' ').ok_or("no status")?;
    let status = rest.split(' ').next().filter(|status| status.len() == 3).ok_or("no status")?;
    if !matches!(version, "HTTP/1.0" | "HTTP/1.1") {
        return Err("not the version");
    }
    let field = |name: &str| {
        let mut lines = fields.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    let is_interim = status.starts_with('1');
    if !is_interim && field("date").is_none_or(|date| httpdate::parse_http_date(date).is_err()) {
        return Err("no date (RFC 9110 §6.6.1)");
    }
    if status == "405" && field("allow").is_none_or(str::is_empty) {
        return Err("no Allow (RFC 9110 §15.5.6)");
    }
    let length = field("content-length").map(str::parse::<usize>);
    let length = match length.transpose().map_err(|_| "no number as Content-Length")? {
        Some(_) if is_interim || status == "204" => return Err("Content-Length (RFC 9110 §8.6)"),
        None if is_interim || status == "204" => 0,
        Some(length) => length,
        None => return Err("no Content-Length"),
    };
    let options = field("connection").unwrap_or_default();
    let is_last = match version {
        "HTTP/1.0" => options != "keep-alive",
        _ => options == "close",
    };
    let reply = Reply { status: status.to_owned(), is_last, is_accepted: false };
    Ok((reply, if has_body { length } else { 0 }))
}

/// The entries, once their own rules are checked.
fn entries() -> Vec<Entry> {
    let table: Table = toml::from_str(TABLE).unwrap();
    let mut names = BTreeSet::new();
    for entry in &table.request {
        assert!(names.insert(entry.name.as_str()), "{} is there twice", entry.name);
        assert!(entry.rfc.contains(" §"), "{} names no section", entry.name);
        for differs in entry.differs.iter().chain(&entry.in_pieces) {
            let same = (&differs.answers, differs.connection) == (&entry.answers, entry.connection);
            assert!(!same && !differs.why.is_empty(), "{} does not differ", entry.name);
        }
    }
    table.request
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_get_what_the_rfcs_ask_for() {
    let entries = entries();
    let region = Region::bare("plaintext = true", LIMITS).await;
    region.nats.provision().await;
    region.configure(region.snapshot(1, "{}")).await;
    region.until_ready().await;

    let runs = entries.iter().flat_map(|entry| {
        let whole = entry.wire().len().max(1);
        [(entry, whole), (entry, whole.div_ceil(PIECES))]
    });
    let address = region.address;
    let runs = stream::iter(runs).map(|(entry, piece)| async move {
        let named = |fault| format!("{} (RFC {}), in pieces of {piece}: {fault}", entry.name, entry.rfc);
        entry.run(address, piece).await.map_err(named)
    });
    let results: Vec<_> = runs.buffer_unordered(AT_ONCE).collect().await;
    let faults: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    for fault in &faults {
        println!("{fault}");
    }
    let differing = entries.iter().filter(|entry| entry.differs.is_some()).count();
    println!("{} requests, {differing} of them known differences", entries.len());
    assert!(faults.is_empty(), "{} of {} exchanges went otherwise", faults.len(), results.len());

    let accepted: usize = results.into_iter().flatten().sum();
    let outcome = "floodgate_ingest_requests_total{outcome=\"accepted\",source=\"github\"} ";
    let metrics = region.metrics().await;
    let counted = metrics.lines().find_map(|line| line.strip_prefix(outcome)).unwrap();
    assert_eq!(counted.parse::<usize>().unwrap(), accepted, "an event for each 200, and for nothing else");
}
