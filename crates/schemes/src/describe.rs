//! Describes for people what a scheme needs of a request.

use floodgate_event::scheme::{
    Algorithm, Encoding, Form, KeyFormat, Settings, Template, Timestamp, TimestampAt, Unit,
};

use crate::preset::{Description, Preset};

impl Preset {
    /// Describes what the scheme needs of a request to a source with these settings.
    pub fn describe(&self, settings: &Settings) -> Description {
        let mut lines = match self.signing.template().or(settings.signature.as_ref()) {
            Some(template) => self::template(template),
            None => (self.words)(settings),
        };
        if lines.is_empty() {
            lines.push(("signed", "in the provider's own way, which its documentation describes".to_owned()));
        }
        if self.uses.contains(&"url") {
            // With an `@` there may be a password in it.
            let url = settings.url.as_deref().filter(|url| !url.contains('@'));
            let url = url.unwrap_or("what the provider was given");
            lines.push(("url", format!("{url}, with the query of the request")));
        }
        if !settings.client_ca.is_empty() {
            lines.push(("client certificate", client(settings)));
        }
        lines.push(("tolerance", self.tolerance(settings)));
        lines
    }

    fn tolerance(&self, settings: &Settings) -> String {
        match settings.tolerance_seconds.or(self.tolerance_seconds) {
            _ if !self.has_time(settings) => "requests have no signed time".to_owned(),
            Some(seconds) => format!("the time is at most {seconds} s from now"),
            None => "the time may be any: the provider sets no limit".to_owned(),
        }
    }
}

/// Describes the certificate that a TLS client must have.
fn client(settings: &Settings) -> String {
    let names = settings.client_names.join(", or ");
    format!("for {names}, signed by one of {} authorities", settings.client_ca.len())
}

/// Describes a scheme whose requests carry the secret itself in this header.
pub(crate) fn secret_in(header: &str) -> Description {
    vec![
        ("header", format!("{header}: <secret>")),
        ("key", "the text of the secret as it is".to_owned()),
        ("signed", "nothing: the request carries the secret itself".to_owned()),
    ]
}

/// Describes what a template needs.
pub(crate) fn template(template: &Template) -> Description {
    let mut lines = vec![("header", header(template))];
    lines.extend(template.id_header.as_ref().map(|name| ("id", format!("the header {name}"))));
    lines.extend(template.timestamp.as_ref().map(|timestamp| ("time", time(timestamp))));
    lines.extend([
        ("algorithm", algorithm(template.algorithm).to_owned()),
        ("written in", encoding(template.encoding).to_owned()),
        ("key", key(template).to_owned()),
        ("signed", template.content.clone()),
    ]);
    lines
}

fn header(template: &Template) -> String {
    let name = &template.header;
    match (&template.form, &template.timestamp) {
        (Form::Bare, _) => format!("{name}: <signature>"),
        (Form::Prefix(prefix), _) => format!("{name}: {prefix}<signature>"),
        (Form::List(prefix), _) => {
            format!("{name}: {prefix}<signature>, or several of them with a space between two")
        }
        (Form::Numbered, _) => format!("{name}1: <signature>, and {name}2 and so on"),
        (Form::Pairs { separator, name: pair }, Some(Timestamp { at: TimestampAt::Pair(time), .. })) => {
            format!("{name}: {time}=<time>{separator}{pair}=<signature>")
        }
        (Form::Pairs { name: pair, .. }, _) => format!("{name}: {pair}=<signature>"),
    }
}

fn time(timestamp: &Timestamp) -> String {
    let unit = match timestamp.unit {
        Unit::Seconds => "seconds",
        Unit::Milliseconds => "milliseconds",
    };
    match &timestamp.at {
        TimestampAt::Header(name) => format!("the header {name}, in whole {unit}"),
        TimestampAt::Pair(name) => format!("`{name}=` in the same header, in whole {unit}"),
        TimestampAt::Json(pointer) => format!("{pointer} in the body, in whole {unit}"),
    }
}

/// Returns the usual name of the algorithm, such as `HMAC-SHA256`.
pub(crate) const fn algorithm(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::HmacSha1 => "HMAC-SHA1",
        Algorithm::HmacSha256 => "HMAC-SHA256",
        Algorithm::HmacSha384 => "HMAC-SHA384",
        Algorithm::HmacSha512 => "HMAC-SHA512",
        Algorithm::Ed25519 => "Ed25519",
        Algorithm::EcdsaP256Sha256 => "ECDSA on P-256 with SHA-256",
        Algorithm::RsaSha256 => "RSA PKCS#1 v1.5 with SHA-256",
    }
}

/// Describes how the signature is written.
pub(crate) const fn encoding(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Hex => "lower-case hexadecimal digits",
        Encoding::Base64 => "base64 with padding",
    }
}

fn key(template: &Template) -> &'static str {
    match (template.algorithm.is_symmetric(), template.key) {
        (true, KeyFormat::Utf8) => "the text of the secret as it is",
        (true, KeyFormat::Hex) => "the secret, decoded from hexadecimal digits",
        (true, KeyFormat::Base64) => "the secret, decoded from base64",
        (true, KeyFormat::Pem) => "the secret, decoded from PEM",
        (false, KeyFormat::Utf8) => "the public key's bytes as they are",
        (false, KeyFormat::Hex) => "the public key in hexadecimal digits",
        (false, KeyFormat::Base64) => "the public key in base64",
        (false, KeyFormat::Pem) => "the public key in PEM",
    }
}

#[cfg(test)]
mod tests {
    use crate::preset::Signing;
    use crate::presets;

    use super::*;

    fn of(name: &str, settings: &Settings) -> String {
        let lines = presets::find(name).unwrap().describe(settings);
        lines.iter().map(|(heading, text)| format!("{heading}: {text}\n")).collect()
    }

    #[test]
    fn a_template_says_everything_that_it_holds() {
        let expected = "header: stripe-signature: t=<time>,v1=<signature>\n\
            time: `t=` in the same header, in whole seconds\n\
            algorithm: HMAC-SHA256\n\
            written in: lower-case hexadecimal digits\n\
            key: the text of the secret as it is\n\
            signed: {timestamp}.{body}\n\
            tolerance: the time is at most 300 s from now\n";
        assert_eq!(of("stripe", &Settings::default()), expected);
        let settings = Settings { tolerance_seconds: Some(60), ..Settings::default() };
        assert!(of("stripe", &settings).ends_with("at most 60 s from now\n"));
    }

    #[test]
    fn every_preset_says_something() {
        for preset in presets::all() {
            let text = of(preset.name, &Settings::default());
            assert!(text.contains("signed: ") && text.contains("tolerance: "), "{}: {text}", preset.name);
        }
    }

    /// A template that an operator wrote describes itself, whichever preset takes it.
    #[test]
    fn a_template_of_the_settings_speaks_for_itself() {
        let template = Template { id_header: Some("x-id".to_owned()), ..Template::hmac_sha256("x-own") };
        let settings = Settings { signature: Some(template), ..Settings::default() };
        let coded = Preset::coded("own", "", Signing::Code(|_, _| Err(crate::InvalidSettings::NoKey)));
        let lines = coded.describe(&settings);
        assert!(lines.contains(&("header", "x-own: <signature>".to_owned())), "{lines:?}");
        assert!(lines.contains(&("id", "the header x-id".to_owned())), "{lines:?}");
    }

    #[test]
    fn okta_names_the_header_of_the_settings() {
        assert!(of("okta", &Settings::default()).contains("authorization: <secret>"));
        let settings = Settings { header: Some("x-token".to_owned()), ..Settings::default() };
        assert!(of("okta", &settings).contains("x-token: <secret>"));
    }

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        let url = |url: &str| of("square", &Settings { url: Some(url.to_owned()), ..Settings::default() });
        assert!(url("https://r.example/in/a").contains("url: https://r.example/in/a, with"));
        assert!(!url("https://user:pa55@r.example/in/a").contains("pa55"));
    }
}
