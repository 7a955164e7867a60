//! A request that is kept in a file: what was sent, byte by byte, or what `curl -v` showed of it.

mod body;
mod curl;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The most headers.
const MAX_HEADERS: usize = 100;
/// The longest line of a head, in bytes.
const MAX_LINE_BYTES: usize = 16 << 10;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// A request from a file.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) method: String,
    /// The target of the request line.
    target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// What is odd about the file, for people.
    pub(super) notes: Vec<String>,
}

/// Why a file is no request. No message quotes the file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("the file is empty")]
    Empty,
    #[error("the file is text in UTF-16: save it as the bytes that were sent")]
    Utf16,
    #[error("line {0} of the head is over {MAX_LINE_BYTES} bytes: is there an empty line before the body?")]
    LongLine(usize),
    #[error("over {MAX_HEADERS} headers: is there an empty line before the body?")]
    ManyHeaders,
    #[error("the first line is no request line, such as `POST /in/stripe HTTP/1.1`")]
    NoRequestLine,
    #[error("no line begins with `> `, which is how `curl -v` shows what it sends")]
    NothingSent,
    #[error("a line of the head is no header ({0}): is there an empty line before the body?")]
    BadHead(httparse::Error),
}

/// Lines of a head without their ends, and what follows the empty line behind them.
struct Parts<'a> {
    head: Vec<&'a [u8]>,
    body: &'a [u8],
}

impl Saved {
    /// Reads a request. A body that is given counts instead of the one in the file.
    pub(super) fn parse(file: &[u8], body: Option<Vec<u8>>) -> Result<Self, Unreadable> {
        if file.starts_with(&[0xff, 0xfe]) || file.starts_with(&[0xfe, 0xff]) {
            return Err(Unreadable::Utf16);
        }
        let text = file.strip_prefix(BOM).unwrap_or(file);
        let mut notes = vec![];
        if text.len() < file.len() {
            notes.push(
                "a byte order mark before the request was left out: an editor has saved the file".into(),
            );
        }
        let parts = if curl::is_shown(text) { curl::parts(text)? } else { Parts::split(text)? };
        let mut saved = parse_head(&parts.head)?;
        saved.body = body::of(&saved.headers, body.as_deref().unwrap_or(parts.body), &mut notes);
        saved.notes = notes;
        Ok(saved)
    }

    /// The URL as the sender knows it: the one that is given, with the query of the request where it has
    /// none; or else the one that the request names.
    pub(super) fn url(&self, given: Option<&str>) -> String {
        let query = self.target.split_once('?').map(|(_, query)| query);
        match (given, query) {
            (Some(given), Some(query)) if !given.contains('?') => format!("{given}?{query}"),
            (Some(given), _) => given.to_owned(),
            (None, _) => self.named(),
        }
    }

    /// The path of the target. What is around it may be a secret: a parameter, or a password.
    pub(super) fn path(&self) -> &str {
        let target = self.target.split(['?', '#']).next().unwrap_or_default();
        match target.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
            None => target,
        }
    }

    fn named(&self) -> String {
        let host = self.headers.get("host").and_then(|host| host.to_str().ok());
        match host {
            Some(host) if self.target.starts_with('/') => format!("https://{host}{}", self.target),
            _ => self.target.clone(),
        }
    }
}

impl<'a> Parts<'a> {
    /// A file without an empty line has a head alone.
    fn split(text: &'a [u8]) -> Result<Self, Unreadable> {
        let mut parts = Self { head: vec![], body: text };
        while !parts.body.is_empty() {
            let (line, rest) = first_line(parts.body);
            parts.body = rest;
            match line {
                b"" if parts.head.is_empty() => {}
                b"" => break,
                line => parts.push(line)?,
            }
        }
        Ok(parts)
    }

    fn push(&mut self, line: &'a [u8]) -> Result<(), Unreadable> {
        self.head.push(line);
        match () {
            () if line.len() > MAX_LINE_BYTES => Err(Unreadable::LongLine(self.head.len())),
            () if self.head.len() > MAX_HEADERS + 1 => Err(Unreadable::ManyHeaders),
            () => Ok(()),
        }
    }
}

/// The first line without its end, and what follows it.
fn first_line(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|&byte| byte == b'\n');
    let (line, rest) = end.map_or((text, &b""[..]), |end| (&text[..end], &text[end + 1..]));
    (line.strip_suffix(b"\r").unwrap_or(line), rest)
}

fn parse_head(lines: &[&[u8]]) -> Result<Saved, Unreadable> {
    let (first, others) = lines.split_first().ok_or(Unreadable::Empty)?;
    let first = request_line(first).ok_or(Unreadable::NoRequestLine)?;
    let mut head = first;
    for line in others.iter().chain([&&b""[..]]) {
        head.extend_from_slice(b"\r\n");
        head.extend_from_slice(line);
    }
    head.extend_from_slice(b"\r\n");
    let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut fields);
    request.parse(&head).map_err(|error| match error {
        httparse::Error::Token | httparse::Error::Version => Unreadable::NoRequestLine,
        error => Unreadable::BadHead(error),
    })?;
    Ok(Saved {
        method: request.method.ok_or(Unreadable::NoRequestLine)?.to_owned(),
        target: request.path.ok_or(Unreadable::NoRequestLine)?.to_owned(),
        headers: headers(request.headers)?,
        body: vec![],
        notes: vec![],
    })
}

/// The request line in HTTP/1.1. Tools also show those of HTTP/2 in this form, or leave the version out.
fn request_line(line: &[u8]) -> Option<Vec<u8>> {
    let mut words = line.split(|&byte| byte == b' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next().unwrap_or(b"HTTP/1.1"));
    let is_one = !method.ends_with(b":") && version.starts_with(b"HTTP/") && words.next().is_none();
    is_one.then(|| [method, target, b"HTTP/1.1"].join(&b' '))
}

fn headers(fields: &[httparse::Header<'_>]) -> Result<HeaderMap, Unreadable> {
    let mut headers = HeaderMap::new();
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let name = name.map_err(|_| Unreadable::BadHead(httparse::Error::HeaderName))?;
        let value = HeaderValue::from_bytes(field.value);
        headers.append(name, value.map_err(|_| Unreadable::BadHead(httparse::Error::HeaderValue))?);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests;
