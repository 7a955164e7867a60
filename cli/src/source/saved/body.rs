//! How much of a file is the body.

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};

/// The body of what follows a head. `Content-Length` decides, or the chunks do; without either all of it is
/// the body.
pub(super) fn of(headers: &HeaderMap, text: &[u8], notes: &mut Vec<String>) -> Vec<u8> {
    if is_chunked(headers)
        && let Some(body) = unchunked(text)
    {
        notes.push("the body is in chunks, which were put together".to_owned());
        return body;
    }
    let Some(length) = length(headers, notes) else { return text.to_vec() };
    let (body, behind) = text.split_at(length.min(text.len()));
    notes.extend(note(length, body, behind));
    body.to_vec()
}

fn note(length: usize, body: &[u8], behind: &[u8]) -> Option<String> {
    let there = body.len();
    match behind {
        b"" if there < length => Some(format!(
            "the body has {there} bytes, and Content-Length says {length}: some are missing, or it was changed \
             when it was saved"
        )),
        b"" => None,
        b"\n" | b"\r\n" => {
            Some("the file has a line end behind the body, by Content-Length, which was left out".to_owned())
        }
        behind => Some(format!(
            "the file has {} bytes behind the body, by Content-Length, which were left out",
            behind.len()
        )),
    }
}

/// None if there is no length that could be believed.
fn length(headers: &HeaderMap, notes: &mut Vec<String>) -> Option<usize> {
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let value = values.next()?;
    let digits = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let length = digits.and_then(|text| text.parse().ok());
    if length.is_some() && values.all(|other| other == value) {
        return length;
    }
    notes.push("Content-Length is not one number, and was not looked at".to_owned());
    None
}

fn is_chunked(headers: &HeaderMap) -> bool {
    let coding = headers.get(TRANSFER_ENCODING).and_then(|coding| coding.to_str().ok());
    coding.is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"))
}

/// None unless the text is chunks to its end: tools also save bodies that they have put together, with the
/// header still there.
fn unchunked(mut text: &[u8]) -> Option<Vec<u8>> {
    let mut body = vec![];
    loop {
        let httparse::Status::Complete((start, size)) = httparse::parse_chunk_size(text).ok()? else {
            return None;
        };
        let rest = text.get(start..)?;
        if size == 0 {
            return (rest.trim_ascii().is_empty()).then_some(body);
        }
        let size = usize::try_from(size).ok()?;
        let (chunk, rest) = rest.split_at_checked(size)?;
        body.extend_from_slice(chunk);
        text = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n"))?;
    }
}
