//! HTTP/2 as frames, for what no client library would send.

/// The client's preface, with empty settings.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
/// Flags of HEADERS.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A frame ([RFC 9113 §4.1](https://www.rfc-editor.org/rfc/rfc9113#section-4.1)).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    // Only the frames of this file, far below 16 MiB.
    let length = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// HEADERS, and nothing after them on the stream.
pub fn whole(stream: u32, block: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, block)
}

/// HEADERS, after which a body is to come.
pub fn before_body(stream: u32, block: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, block)
}

/// HEADERS, after which more of the block is to come.
pub fn unfinished(stream: u32, block: &[u8]) -> Vec<u8> {
    frame(HEADERS, 0, stream, block)
}

/// DATA, after which more is to come.
pub fn data(stream: u32, bytes: &[u8]) -> Vec<u8> {
    frame(DATA, 0, stream, bytes)
}

/// A header block of a GET of `/` with so many fields of one byte each: references to an entry of HPACK's
/// static table ([RFC 7541 §6.1](https://www.rfc-editor.org/rfc/rfc7541#section-6.1)).
pub fn fields(count: usize) -> Vec<u8> {
    // GET, https, the path `/`, the authority `a`, then `accept-charset` each time.
    let mut block = vec![0x82, 0x87, 0x84, 0x01, 0x01, b'a'];
    block.resize(block.len() + count, 0x80 | 15);
    block
}

/// A header block of a POST with these headers, each as a literal that is not indexed.
pub fn post(path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    // POST, https, the authority `a`.
    let mut block = vec![0x83, 0x87, 0x01, 0x01, b'a'];
    literal(&mut block, &[0x04], path);
    for (name, value) in headers {
        let mut start = vec![0x00];
        text(&mut start, name);
        literal(&mut block, &start, value);
    }
    block
}

fn literal(block: &mut Vec<u8>, start: &[u8], value: &str) {
    block.extend(start);
    text(block, value);
}

/// Without Huffman's code; all are shorter than 127 bytes.
fn text(block: &mut Vec<u8>, text: &str) {
    block.push(u8::try_from(text.len()).unwrap_or_default());
    block.extend(text.as_bytes());
}
