//! What `curl -v` shows: `>` before each line of the head that it sends, `<` before those that it gets, `*`
//! before what it does. It does not show what it sends behind the head.

use super::{Parts, Unreadable, first_line};

/// Whether the first line that is not empty is one of curl's.
pub(super) fn is_shown(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    text.starts_with(b"* ") || text.starts_with(b"> ")
}

/// The head of the first request. What is behind it is the body, unless that is what curl shows of the
/// answer.
pub(super) fn parts(text: &[u8]) -> Result<Parts<'_>, Unreadable> {
    let mut parts = Parts { head: vec![], body: text };
    while !parts.body.is_empty() {
        let (line, rest) = first_line(parts.body);
        parts.body = rest;
        match sent(line) {
            Some(b"") => break,
            Some(line) => parts.push(line)?,
            // Between two lines of a head there may be one of what curl does.
            None => {}
        }
    }
    if parts.head.is_empty() {
        return Err(Unreadable::NothingSent);
    }
    parts.body = behind(parts.body);
    Ok(parts)
}

/// The line of a head that curl shows as sent; empty at its end.
fn sent(line: &[u8]) -> Option<&[u8]> {
    if line == b">" { Some(b"") } else { line.strip_prefix(b"> ") }
}

fn behind(mut text: &[u8]) -> &[u8] {
    loop {
        let (line, rest) = first_line(text);
        match () {
            () if line.starts_with(b"< ") => return b"",
            () if [&b"* "[..], b"} [", b"{ ["].iter().any(|begin| line.starts_with(begin)) => text = rest,
            () => return text,
        }
    }
}
