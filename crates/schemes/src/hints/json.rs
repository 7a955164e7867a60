//! JSON as common programs write it: what a program that parses a body and writes it again makes of it.

use std::io;

use serde::Serialize as _;
use serde_json::ser::{Formatter, PrettyFormatter};

/// A way to write JSON.
pub(super) struct Form {
    /// What it is called, behind "the body".
    pub(super) name: &'static str,
    style: Style,
}

#[derive(Clone, Copy)]
enum Style {
    OneLine { spaces: bool, ascii: bool, slashes: bool },
    Indented,
}

/// The forms, the most common first.
pub(super) const FORMS: [Form; 6] = [
    Form {
        name: "as compact JSON, as JavaScript's `JSON.stringify` writes it",
        style: Style::OneLine { spaces: false, ascii: false, slashes: false },
    },
    Form {
        name: "as Python's `json.dumps` writes it",
        style: Style::OneLine { spaces: true, ascii: true, slashes: false },
    },
    Form {
        name: "as PHP's `json_encode` writes it",
        style: Style::OneLine { spaces: false, ascii: true, slashes: true },
    },
    Form {
        name: "as compact JSON with escapes for what is not ASCII",
        style: Style::OneLine { spaces: false, ascii: true, slashes: false },
    },
    Form {
        name: "as JSON with a space behind each comma and colon",
        style: Style::OneLine { spaces: true, ascii: false, slashes: false },
    },
    Form { name: "as JSON that is indented by two spaces", style: Style::Indented },
];

impl Form {
    /// The body in this form; none if it is not JSON.
    pub(super) fn write(&self, body: &[u8]) -> Option<Vec<u8>> {
        match self.style {
            Style::OneLine { spaces, ascii, slashes } => again(body, OneLine { spaces, ascii, slashes }),
            Style::Indented => again(body, PrettyFormatter::new()),
        }
    }
}

/// Keeps the order of keys, and keys that occur twice.
fn again(body: &[u8], formatter: impl Formatter) -> Option<Vec<u8>> {
    let mut from = serde_json::Deserializer::from_slice(floodgate_json::without_bom(body));
    let mut written = Vec::with_capacity(body.len());
    let mut to = serde_json::Serializer::with_formatter(&mut written, formatter);
    serde_transcode::Transcoder::new(&mut from).serialize(&mut to).ok()?;
    from.end().ok()?;
    Some(written)
}

struct OneLine {
    spaces: bool,
    ascii: bool,
    slashes: bool,
}

impl OneLine {
    fn comma<W: ?Sized + io::Write>(&self, writer: &mut W, first: bool) -> io::Result<()> {
        match (first, self.spaces) {
            (true, _) => Ok(()),
            (false, true) => writer.write_all(b", "),
            (false, false) => writer.write_all(b","),
        }
    }
}

impl Formatter for OneLine {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.comma(writer, first)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.comma(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(if self.spaces { b": " } else { b":" })
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for c in fragment.chars() {
            match c {
                '/' if self.slashes => writer.write_all(b"\\/")?,
                c if self.ascii && !c.is_ascii() => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        write!(writer, "\\u{unit:04x}")?;
                    }
                }
                c => write!(writer, "{c}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_what_its_program_writes() {
        let body = br#" { "b" : [ 1 , "\u00e4/" , 1.5, null ], "a":{}, "b": "\ud83d\ude00" } "#;
        let written = |index: usize| String::from_utf8(FORMS[index].write(body).unwrap()).unwrap();
        assert_eq!(written(0), r#"{"b":[1,"ä/",1.5,null],"a":{},"b":"😀"}"#);
        assert_eq!(written(1), r#"{"b": [1, "\u00e4/", 1.5, null], "a": {}, "b": "\ud83d\ude00"}"#);
        assert_eq!(written(2), r#"{"b":[1,"\u00e4\/",1.5,null],"a":{},"b":"\ud83d\ude00"}"#);
        assert_eq!(written(3), r#"{"b":[1,"\u00e4/",1.5,null],"a":{},"b":"\ud83d\ude00"}"#);
        assert_eq!(written(4), r#"{"b": [1, "ä/", 1.5, null], "a": {}, "b": "😀"}"#);
        assert!(written(5).starts_with("{\n  \"b\": [\n    1,"), "{}", written(5));
    }

    #[test]
    fn what_is_no_json_has_no_form() {
        for body in [&b"a=b"[..], b"{\"a\":1} x", b"{", b"\xff", &[b'['; 100_000]] {
            assert!(FORMS.iter().all(|form| form.write(body).is_none()), "{:?}", body.get(..8));
        }
    }
}
