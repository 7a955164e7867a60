//! Mistakes with a body: something between the provider and here has changed its bytes.

use super::{Case, Mistake, json};

pub(super) fn hint(case: &Case<'_>) -> Option<String> {
    let body = case.request.body;
    let holds = |other: &Option<Vec<u8>>| {
        let other = other.as_deref().filter(|other| *other != body);
        other.is_some_and(|other| case.holds(Mistake { body: Some(other), ..Mistake::default() }))
    };
    let changed = CHANGES.iter().find(|(_, change)| holds(&change(body)));
    let phrase = changed.map(|(phrase, _)| *phrase);
    let phrase =
        phrase.or_else(|| json::FORMS.iter().find(|form| holds(&form.write(body))).map(|form| form.name));
    Some(format!("it verifies over the body {}", phrase?))
}

type Change = fn(&[u8]) -> Option<Vec<u8>>;

/// What the provider may have signed instead of the body; none if the body is not of that kind.
const CHANGES: [(&str, Change); 7] = [
    ("without the line end at its end", |body| {
        let body = body.strip_suffix(b"\n")?;
        Some(body.strip_suffix(b"\r").unwrap_or(body).to_vec())
    }),
    ("without the white space around it", |body| Some(body.trim_ascii().to_vec())),
    ("with a line feed behind it", |body| Some([body, b"\n"].concat())),
    ("with a carriage return and a line feed behind it", |body| Some([body, b"\r\n"].concat())),
    ("with line feeds where it has carriage returns and line feeds", |body| Some(with_feeds(body))),
    ("with carriage returns and line feeds where it has line feeds", |body| {
        Some(with_feeds(body).split(|&byte| byte == b'\n').collect::<Vec<_>>().join(&b"\r\n"[..]))
    }),
    ("without the byte order mark before it", |body| Some(floodgate_json::without_bom(body).to_vec())),
];

fn with_feeds(body: &[u8]) -> Vec<u8> {
    let mut rest = body;
    let mut changed = Vec::with_capacity(body.len());
    while let Some((&byte, after)) = rest.split_first() {
        if !(byte == b'\r' && after.first() == Some(&b'\n')) {
            changed.push(byte);
        }
        rest = after;
    }
    changed
}
