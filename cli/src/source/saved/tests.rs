use proptest::prelude::*;

use super::*;

fn parse(file: &[u8]) -> Saved {
    Saved::parse(file, None).unwrap()
}

fn refused(file: &[u8]) -> Unreadable {
    Saved::parse(file, None).unwrap_err()
}

fn header<'s>(saved: &'s Saved, name: &str) -> &'s str {
    saved.headers[name].to_str().unwrap()
}

#[test]
fn a_request_is_read_byte_by_byte() {
    for file in [
        &b"POST /in/a?b=c HTTP/1.1\r\nHost: r.example\r\nX-A:  1 \r\n\r\n{\"a\":1}\r\n\n"[..],
        b"POST /in/a?b=c HTTP/1.1\nhost: r.example\nx-a: 1\n\n{\"a\":1}\r\n\n",
        b"\r\nPOST /in/a?b=c HTTP/2\r\nHost: r.example\nX-A: 1\n\r\n{\"a\":1}\r\n\n",
        b"POST /in/a?b=c\nHost: r.example\nX-A: 1\n\n{\"a\":1}\r\n\n",
    ] {
        let saved = parse(file);
        assert_eq!((&*saved.method, &*saved.target), ("POST", "/in/a?b=c"));
        assert_eq!((header(&saved, "host"), header(&saved, "x-a")), ("r.example", "1"));
        assert_eq!(saved.body, b"{\"a\":1}\r\n\n", "{file:?}");
        assert_eq!(saved.notes, [""; 0]);
    }
    let twice = parse(b"POST / HTTP/1.1\nx-a: 1\nx-a: 2\n\n\x00\xff");
    assert_eq!((twice.headers.get_all("x-a").iter().count(), &*twice.body), (2, &b"\x00\xff"[..]));
    let head_alone = parse(b"GET /in/a?challenge=1 HTTP/1.1\nhost: r.example");
    assert_eq!((&*head_alone.method, head_alone.body.len()), ("GET", 0));
}

#[test]
fn content_length_decides_and_the_difference_is_said() {
    let saved = |length: &str, body: &str| parse(format!("POST / HTTP/1.1\n{length}\n{body}").as_bytes());
    let said = |length: &str, body: &str| {
        let saved = saved(length, body);
        (String::from_utf8(saved.body).unwrap(), saved.notes.concat())
    };
    assert_eq!(said("content-length: 2\n", "{}"), ("{}".to_owned(), String::new()));
    for end in ["\n", "\r\n"] {
        let (body, note) = said("content-length: 2\n", &format!("{{}}{end}"));
        assert!(body == "{}" && note.contains("a line end behind the body"), "{note}");
    }
    let (body, note) = said("content-length: 2\n", "{}\n\n");
    assert!(body == "{}" && note.contains("2 bytes behind the body"), "{note}");
    let (body, note) = said("content-length: 9\n", "{}");
    assert!(body == "{}" && note.contains("has 2 bytes, and Content-Length says 9"), "{note}");
    for odd in [
        "content-length: x\n",
        "content-length: 1\ncontent-length: 2\n",
        "content-length: 99999999999999999999\n",
    ] {
        let (body, note) = said(odd, "{}");
        assert!(body == "{}" && note.contains("not one number"), "{note}");
    }
    assert_eq!(said("", "{}\n"), ("{}\n".to_owned(), String::new()), "nothing says that it is too long");
}

#[test]
fn chunks_are_put_together_unless_a_tool_has_done_so() {
    let chunked = |body: &str| {
        let saved = parse(format!("POST / HTTP/1.1\ntransfer-encoding: chunked\n\n{body}").as_bytes());
        String::from_utf8(saved.body).unwrap()
    };
    assert_eq!(chunked("3\r\n{\"a\r\n4;x=y\r\n\":1}\r\n0\r\n\r\n"), "{\"a\":1}");
    for body in ["{\"a\":1}", "3\r\n{\"a", "3\r\nabcdef\r\n0\r\n\r\n", "ffffffffffffffff\r\nx\r\n0\r\n\r\n"] {
        assert_eq!(chunked(body), body);
    }
}

#[test]
fn what_curl_shows_is_read() {
    let shown = b"* Host r.example was resolved.\r\n* [HTTP/2] [1] [:method: POST]\r\n\
        > POST /in/a HTTP/2\r\n> Host: r.example\r\n> Content-Length: 2\r\n> \r\n";
    let saved = parse(shown);
    assert_eq!((&*saved.target, header(&saved, "host"), saved.body.len()), ("/in/a", "r.example", 0));
    assert!(saved.notes.concat().contains("has 0 bytes"), "{:?}", saved.notes);
    let answered =
        [&shown[..], b"* upload completely sent off: 2 bytes\r\n< HTTP/2 401\r\n< x: y\r\n<\r\nno"].concat();
    assert_eq!(parse(&answered).body, b"");
    let added = [&shown[..], b"} [2 bytes data]\n{}\n"].concat();
    assert_eq!(parse(&added).body, b"{}");
    let beside = Saved::parse(&added, Some(b"[]\n".to_vec())).unwrap();
    assert!(beside.body == b"[]" && beside.notes.concat().contains("line end"), "another file has the body");
    assert_eq!(refused(b"* Connected\n* Closed\n"), Unreadable::NothingSent);
}

#[test]
fn what_an_editor_did_is_said() {
    let marked = parse(b"\xef\xbb\xbfPOST / HTTP/1.1\n\n{}");
    assert!(marked.body == b"{}" && marked.notes[0].contains("byte order mark"));
    assert_eq!(refused(b"\xff\xfeP\0O\0"), Unreadable::Utf16);
}

#[test]
fn what_is_no_request_is_refused() {
    assert_eq!(refused(b""), Unreadable::Empty);
    assert_eq!(refused(b"\n\r\n"), Unreadable::Empty);
    for first in ["Host: r.example", "{\"id\": 1}", "{}", "POST", "HTTP/1.1 200 OK", "P(ST / HTTP/1.1"] {
        assert_eq!(refused(format!("{first}\nx-a: 1\n\n").as_bytes()), Unreadable::NoRequestLine, "{first}");
    }
    for line in ["no header", "x a: 1", " folded", "x-a: \x01", "{\"id\": 1}"] {
        let file = format!("POST / HTTP/1.1\nx-a: 1\n{line}\n\n");
        assert!(matches!(refused(file.as_bytes()), Unreadable::BadHead(_)), "{line}");
    }
}

#[test]
fn heads_are_bounded() {
    let with = |headers: usize, bytes: usize| {
        let lines: String = (0..headers).map(|number| format!("x-{number}: 1\n")).collect();
        let line = format!("x-a: {}", "a".repeat(bytes - 5));
        Saved::parse(format!("POST / HTTP/1.1\n{lines}{line}\n\n").as_bytes(), None).map(drop)
    };
    assert_eq!(with(MAX_HEADERS - 1, MAX_LINE_BYTES), Ok(()));
    assert_eq!(with(MAX_HEADERS, 10), Err(Unreadable::ManyHeaders));
    assert_eq!(with(0, MAX_LINE_BYTES + 1), Err(Unreadable::LongLine(2)));
    let shown: String = (0..200).map(|number| format!("> x-{number}: 1\n")).collect();
    assert_eq!(refused(format!("> POST / HTTP/1.1\n{shown}").as_bytes()), Unreadable::ManyHeaders);
}

#[test]
fn the_url_is_the_one_given_with_the_query_of_the_request() {
    let saved = parse(b"POST /in/a?b=c HTTP/1.1\nhost: r.example\n\n");
    assert_eq!(saved.url(None), "https://r.example/in/a?b=c");
    assert_eq!(saved.url(Some("http://p.example/x")), "http://p.example/x?b=c");
    assert_eq!(saved.url(Some("http://p.example/x?d=e")), "http://p.example/x?d=e");
    assert_eq!(parse(b"POST /in/a HTTP/1.1\n\n").url(None), "/in/a");
    let absolute = parse(b"POST https://p.example/x HTTP/1.1\nhost: r.example\n\n");
    assert_eq!(absolute.url(None), "https://p.example/x");
}

#[test]
fn the_path_has_no_secret() {
    for target in ["/x/y?access_token=t0ken", "https://user:t0ken@p.example/x/y?a=t0ken", "/x/y#t0ken"] {
        assert_eq!(parse(format!("POST {target} HTTP/1.1\n\n").as_bytes()).path(), "/x/y");
    }
    assert_eq!(parse(b"POST https://p.example HTTP/1.1\n\n").path(), "/");
}

proptest! {
    #[test]
    fn no_file_makes_the_parser_panic(file in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Saved::parse(&file, None);
    }

    /// Most of these are read beyond their first lines.
    #[test]
    fn no_line_makes_the_parser_panic(
        lines in prop::collection::vec(
            prop_oneof![
                Just("POST / HTTP/1.1".to_owned()),
                Just("> POST / HTTP/2".to_owned()),
                Just("transfer-encoding: chunked".to_owned()),
                "content-length: [0-9]{1,25}",
                "[>*<] [a-z]{1,5}: .{0,9}",
                "[0-9a-fA-F]{0,17}(;x)?",
                ".{0,9}",
                Just(String::new()),
            ],
            0..12,
        ),
        end in prop_oneof![Just("\n"), Just("\r\n"), Just("\r")],
    ) {
        let file = lines.join(end);
        if let Ok(saved) = Saved::parse(file.as_bytes(), None) {
            prop_assert!(saved.body.len() <= file.len());
            let _ = (saved.url(None), saved.path());
        }
        let _ = Saved::parse(format!("POST / HTTP/1.1\r\n{file}").as_bytes(), None);
    }
}
