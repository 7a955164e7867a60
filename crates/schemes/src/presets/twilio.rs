//! Twilio. It signs the URL, followed by the decoded parameters of a form, sorted. For any other body the
//! query of the URL has `bodySHA256`, the hash of the body.
//!
//! Nothing separates the parameters, nor a name from its value, so another form may have the same signature.
//! The ids, `MessageSid` and `CallSid`, are parameters of the form, which no locator reads.

use floodgate_event::scheme::{Algorithm, Encoding, KeyFormat, Settings};
use floodgate_event::source::Locator;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode, percent_encode};
use ring::digest::SHA256;
use url::Url;

use crate::digest::{self, Key};
use crate::header::{same, single};
use crate::keys::{self, Named, Secrets};
use crate::preset::{Preset, Signing};
use crate::request::with_parameter;
use crate::verify::Verify;
use crate::{Failure, InvalidSettings, Request, Signed, Unsigned, template};

const SIGNATURE: &str = "x-twilio-signature";
const BODY_HASH: &str = "bodySHA256";
/// The most parameters in a form. Twilio's longest callbacks have fewer than a hundred.
const MAX_PARAMETERS: usize = 1_000;
/// What a URL's query may have as it is or escaped
/// ([URL Standard](https://url.spec.whatwg.org/#special-query-percent-encode-set)), besides what is not
/// ASCII.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'\'').add(b'<').add(b'>');

pub(super) fn preset() -> Preset {
    let signing = Signing::Code(|settings, secrets| prepare(Algorithm::HmacSha1, settings, secrets));
    Preset {
        uses: &["secrets", "url"],
        documentation: "https://www.twilio.com/docs/usage/webhooks/webhooks-security",
        ..Preset::coded("twilio", "Twilio", signing)
    }
}

struct Twilio {
    keys: Vec<Named<Key>>,
}

/// A form's parameters, by name and value.
type Parameters = Vec<(Vec<u8>, Vec<u8>)>;

/// Prepares the scheme, with SHA-1 or SHA-256 in its HMAC.
pub(super) fn prepare(
    algorithm: Algorithm,
    settings: &Settings,
    secrets: &Secrets,
) -> Result<Box<dyn Verify>, InvalidSettings> {
    let why = "the provider signs the URL that it was given";
    let url = settings.url.as_deref().ok_or(InvalidSettings::Needs { setting: "url", why })?;
    if Ports::of(url).is_none() || url.contains(['?', '#']) {
        let why = "an address that begins with `https://` or `http://`, without a query".to_owned();
        return Err(InvalidSettings::Setting { setting: "url", why });
    }
    let keys = keys::prepare(secrets, |text| keys::parse(algorithm, KeyFormat::Utf8, text))?;
    Ok(Box::new(Twilio { keys }))
}

impl Verify for Twilio {
    fn require(&self, headers: &HeaderMap) -> Result<(), Failure> {
        single(headers, SIGNATURE).map(drop)
    }

    fn verify(&self, request: &Request<'_>) -> Result<&str, Failure> {
        let theirs = single(request.headers, SIGNATURE)?;
        let parameters = parameters(request)?;
        let urls = variants(request.url);
        let is_signed = |key: &Key| {
            let ours = urls.iter().filter_map(|url| tag(key, url, &parameters));
            // All are compared, so that the time does not tell which one matched.
            ours.fold(false, |any, ours| same(ours.as_bytes(), theirs.as_bytes()) | any)
        };
        keys::find(&self.keys, is_signed)
    }

    fn covers(&self, locator: &Locator) -> bool {
        matches!(locator, Locator::Json(_))
    }

    /// The parameters of a form may come in any order and encoding, and the signature does not tell where a
    /// name ends, nor what of a query was escaped.
    fn content(&self, request: &Request<'_>) -> Option<Vec<u8>> {
        let parameters = parameters(request).ok()?;
        let signed = signed(request.url, &parameters).concat();
        Some(percent_encode(&signed, ESCAPED).to_string().into_bytes())
    }

    fn sign(&self, message: &Unsigned<'_>) -> Option<Signed> {
        let key = &self.keys.first()?.key;
        let (parameters, url) = match message.body {
            body if message.url.contains(BODY_HASH) => (vec![], Some(with_hash(message.url, body))),
            b"" => (vec![], None),
            body if is_form(message.headers) => (form(body).ok()?, None),
            body => (vec![], Some(with_hash(message.url, body))),
        };
        let signature = tag(key, url.as_deref().unwrap_or(message.url), &parameters)?;
        let signed = template::headers(vec![(SIGNATURE.to_owned(), signature)])?;
        Some(Signed { url, ..signed })
    }
}

/// Returns the parameters that are signed after the URL: none, if the query has the hash of the body.
///
/// # Errors
/// If the signature does not cover the body.
fn parameters(request: &Request<'_>) -> Result<Parameters, Failure> {
    match request.single_parameter(BODY_HASH) {
        Ok(theirs) if same(hash(request.body).as_bytes(), theirs.as_bytes()) => Ok(vec![]),
        Ok(_) => Err(Failure::malformed("`bodySHA256` in the query", "the hash of the body")),
        Err(Failure::Missing(_)) if request.body.is_empty() => Ok(vec![]),
        Err(Failure::Missing(_)) if may_be_form(request.headers) => form(request.body),
        Err(failure) => Err(failure),
    }
}

/// Returns true also for a request that does not say what its body is.
fn may_be_form(headers: &HeaderMap) -> bool {
    !headers.contains_key(CONTENT_TYPE) || is_form(headers)
}

fn is_form(headers: &HeaderMap) -> bool {
    let content_type = single(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Parses a form. Returns each parameter once, sorted by name and then by value. They are bytes, because
/// texts that are not UTF-8 must stay different.
fn form(body: &[u8]) -> Result<Parameters, Failure> {
    let pairs = body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    let mut parameters: Parameters = pairs.take(MAX_PARAMETERS + 1).map(parameter).collect();
    if parameters.len() > MAX_PARAMETERS {
        return Err(Failure::malformed("the body", format!("at most {MAX_PARAMETERS} parameters")));
    }
    parameters.sort_unstable();
    parameters.dedup();
    Ok(parameters)
}

fn parameter(pair: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let decode = |text: &[u8]| {
        let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        percent_decode(&spaced).collect()
    };
    let mut halves = pair.splitn(2, |byte| *byte == b'=');
    let mut half = || decode(halves.next().unwrap_or_default());
    (half(), half())
}

fn with_hash(url: &str, body: &[u8]) -> String {
    with_parameter(url, BODY_HASH, &hash(body))
}

fn hash(body: &[u8]) -> String {
    hex::encode(ring::digest::digest(&SHA256, body))
}

fn tag(key: &Key, url: &str, parameters: &Parameters) -> Option<String> {
    Some(digest::encode(Encoding::Base64, key.sign(&signed(url, parameters))?.as_ref()))
}

fn signed<'a>(url: &'a str, parameters: &'a Parameters) -> Vec<&'a [u8]> {
    let behind = parameters.iter().flat_map(|(name, value)| [name.as_slice(), value.as_slice()]);
    [url.as_bytes()].into_iter().chain(behind).collect()
}

/// Returns the URLs that Twilio may have signed: as received, and as a browser writes it, which escapes more
/// of the query, both with and without a port. Twilio's library for Node writes it so.
fn variants(url: &str) -> Vec<String> {
    let written = Url::parse(url).map(String::from).ok().filter(|written| written != url);
    let forms = [Some(url.to_owned()), written].into_iter().flatten();
    let with_ports = |form: String| Ports::of(&form).map_or_else(|| vec![form.clone()], |of| of.variants());
    forms.flat_map(with_ports).collect()
}

/// A URL, split around its port. Twilio signs some URLs with their port and some without.
struct Ports<'u> {
    before: &'u str,
    port: Option<&'u str>,
    default: &'static str,
    after: &'u str,
}

impl<'u> Ports<'u> {
    fn of(url: &'u str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let default = match scheme {
            "https" => "443",
            "http" => "80",
            _ => return None,
        };
        let host = url.len() - rest.len();
        let end = host + rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, after) = url.split_at(end);
        let user = authority.rfind('@').map_or(host, |at| at + 1);
        let is_port = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let port = authority[user..].rsplit_once(':').map(|(_, port)| port).filter(is_port);
        let before = port.map_or(authority, |port| &authority[..authority.len() - port.len() - 1]);
        Some(Self { before, port, default, after })
    }

    fn variants(&self) -> Vec<String> {
        let Self { before, port, default, after } = self;
        let with = format!("{before}:{}{after}", port.unwrap_or(default));
        vec![format!("{before}{after}"), with]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_tried_with_and_without_their_port() {
        for (url, without, with) in [
            ("https://a.example/in?x=:1", "https://a.example/in?x=:1", "https://a.example:443/in?x=:1"),
            ("http://a.example?q", "http://a.example?q", "http://a.example:80?q"),
            ("https://a.example:8443/in", "https://a.example/in", "https://a.example:8443/in"),
            ("https://u:1@a.example/in", "https://u:1@a.example/in", "https://u:1@a.example:443/in"),
            ("https://u:1@a.example:2/in", "https://u:1@a.example/in", "https://u:1@a.example:2/in"),
            ("https://[::1]/in", "https://[::1]/in", "https://[::1]:443/in"),
            ("https://[::1]:2/in", "https://[::1]/in", "https://[::1]:2/in"),
        ] {
            assert_eq!(Ports::of(url).unwrap().variants(), [without, with], "{url}");
        }
        assert!(Ports::of("a.example/in").is_none());
        assert!(Ports::of("ftp://a.example/in").is_none());
    }

    #[test]
    fn a_url_that_a_browser_writes_otherwise_is_tried_in_both_forms() {
        assert_eq!(
            variants("https://a.example/in?x=1%27"),
            ["https://a.example/in?x=1%27", "https://a.example:443/in?x=1%27"]
        );
        assert_eq!(
            variants("https://a.example:8443/it's?x='\"<> é"),
            [
                "https://a.example/it's?x='\"<> é",
                "https://a.example:8443/it's?x='\"<> é",
                "https://a.example/it's?x=%27%22%3C%3E%20%C3%A9",
                "https://a.example:8443/it's?x=%27%22%3C%3E%20%C3%A9",
            ]
        );
    }

    #[test]
    fn forms_are_decoded_sorted_and_without_repeats() {
        let read = |text: &str| form(text.as_bytes()).unwrap();
        let pair = |name: &[u8], value: &[u8]| (name.to_vec(), value.to_vec());
        assert_eq!(
            read("b=2&a=x+%2B%c3%a9&&b=1&c&b=2&d=e=f"),
            [
                pair(b"a", "x +é".as_bytes()),
                pair(b"b", b"1"),
                pair(b"b", b"2"),
                pair(b"c", b""),
                pair(b"d", b"e=f"),
            ]
        );
        assert_eq!(read("a=%ff&b=%f"), [pair(b"a", b"\xff"), pair(b"b", b"%f")]);
        let many = |count: usize| vec!["a=1"; count].join("&");
        assert_eq!(read(&many(MAX_PARAMETERS)), [pair(b"a", b"1")]);
        assert!(form(many(MAX_PARAMETERS + 1).as_bytes()).is_err());
    }
}
