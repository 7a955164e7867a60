//! Mistakes with a secret: what is around it, and whether it is decoded.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use floodgate_event::Secret;
use floodgate_event::scheme::{KeyFormat, Template};

use super::{Case, Mistake};
use crate::{NamedSecret, Secrets};

/// What Standard Webhooks and Stripe put before a secret.
const PREFIX: &str = "whsec_";
/// A text that every scheme which decodes secrets refuses.
const NOT_ENCODED: &str = "~ not encoded ~";

/// A text that may be the secret, how it differs from the one that was given, and how to make a key of it.
struct Reading {
    text: Secret,
    template: Option<Template>,
    phrases: Vec<&'static str>,
}

pub(super) fn hint(case: &Case<'_>) -> Option<String> {
    case.secrets.iter().find_map(|secret| {
        let holds = |reading: &Reading| {
            let secrets = Some(one(&secret.id, reading.text.clone()));
            case.holds(Mistake { secrets, template: reading.template.clone(), ..Mistake::default() })
        };
        let reading = readings(case, secret.secret.expose()).into_iter().find(holds)?;
        Some(format!("it verifies with the secret {} {}", secret.id, reading.phrases.join(", ")))
    })
}

fn one(id: &str, secret: Secret) -> Secrets {
    vec![NamedSecret { id: id.to_owned(), secret }]
}

fn readings(case: &Case<'_>, secret: &str) -> Vec<Reading> {
    let texts = texts(secret).into_iter();
    let of = |(text, phrase): (String, Option<&'static str>)| match case.template() {
        Some(template) => formats(template, &text, phrase),
        None => encodings(case, &text, phrase),
    };
    texts.flat_map(of).collect()
}

/// Returns the secret, and what it may have been before somebody copied it.
fn texts(secret: &str) -> Vec<(String, Option<&'static str>)> {
    let quoted = |quote| secret.strip_prefix(quote)?.strip_suffix(quote);
    let mut texts = vec![(secret.to_owned(), None)];
    let mut add = |text: Option<&str>, phrase| texts.extend(text.map(|text| (text.to_owned(), Some(phrase))));
    add(Some(secret.trim()).filter(|text| *text != secret), "without the white space around it");
    add(quoted('"').or_else(|| quoted('\'')), "without the quotes around it");
    add(secret.strip_prefix(PREFIX), "without its `whsec_`");
    if !secret.starts_with(PREFIX) {
        add(Some(&format!("{PREFIX}{secret}")), "with `whsec_` before it");
    }
    add(Some(&format!("{secret}\n")), "with a line feed behind it: the sender has that in its secret");
    add(Some(&format!("{secret}\r\n")), "with a line end behind it: the sender has that in its secret");
    texts
}

/// Returns a reading of the text for each kind of key.
fn formats(template: &Template, text: &str, phrase: Option<&'static str>) -> Vec<Reading> {
    let formats = [
        (KeyFormat::Utf8, "as text, not decoded"),
        (KeyFormat::Hex, "decoded from hexadecimal digits"),
        (KeyFormat::Base64, "decoded from base64"),
    ];
    let reading = |(key, how)| Reading {
        text: Secret::new(text),
        template: Some(Template { key, ..template.clone() }),
        phrases: phrase.into_iter().chain((key != template.key).then_some(how)).collect(),
    };
    formats.map(reading).into()
}

/// Returns the text as it is. If the scheme decodes secrets, also returns the text encoded, so that it
/// decodes to the text.
fn encodings(case: &Case<'_>, text: &str, phrase: Option<&'static str>) -> Vec<Reading> {
    let reading = |text: String, how: Option<&'static str>| Reading {
        text: Secret::new(text),
        template: None,
        phrases: phrase.into_iter().chain(how).collect(),
    };
    let mut readings = vec![reading(text.to_owned(), None)];
    let plain = one("", Secret::new(NOT_ENCODED));
    if case.preset.signing.prepare(case.settings, &plain).is_err() {
        for encoded in [BASE64.encode(text), hex::encode(text)] {
            readings.push(reading(encoded, Some("as text, not decoded")));
        }
    }
    readings
}
