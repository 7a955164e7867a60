use floodgate_event::Secret;
use floodgate_event::scheme::{Algorithm, Encoding, KeyFormat};
use http::HeaderValue;

use super::*;
use crate::{NamedSecret, NoPublishedKeys, Scheme, Unsigned, presets};

const NOW: u64 = 1_700_000_000;
const URL: &str = "https://receiver.example/in/hook?a=1";
const BODY: &[u8] = br#"{"id": "evt_1"}"#;

/// A request, and how it is looked at.
struct Scene {
    name: &'static str,
    secret: String,
    settings: Settings,
    template: Option<Template>,
    headers: HeaderMap,
    body: Vec<u8>,
    url: String,
}

impl Scene {
    fn new(name: &'static str, secret: &str) -> Self {
        let uses_url = presets::find(name).unwrap().uses.contains(&"url");
        let url = uses_url.then(|| URL.split_once('?').unwrap().0.to_owned());
        Self {
            name,
            secret: secret.to_owned(),
            settings: Settings { url, ..Settings::default() },
            template: None,
            headers: HeaderMap::new(),
            body: BODY.to_vec(),
            url: URL.to_owned(),
        }
    }

    fn secrets(&self) -> Secrets {
        vec![NamedSecret { id: "one".to_owned(), secret: Secret::new(&*self.secret) }]
    }

    /// How the provider signs in truth, which the preset does not say.
    fn sent_with(mut self, change: impl FnOnce(&mut Template)) -> Self {
        let mut template = presets::find(self.name).unwrap().signing.template().unwrap().clone();
        change(&mut template);
        self.template = Some(template);
        self
    }

    fn signed(mut self) -> Self {
        let (headers, preset) = (&HeaderMap::new(), presets::find(self.name).unwrap());
        let (url, body) = (&*self.url, &*self.body);
        let message = Unsigned { method: "POST", url, headers, body, id: "msg_1", now: NOW };
        let verify = match &self.template {
            Some(template) => template::prepare(template, &self.settings, &self.secrets()),
            None => preset.signing.prepare(&self.settings, &self.secrets()),
        };
        self.headers = verify.unwrap().sign(&message).unwrap().headers.into_iter().collect();
        self
    }

    fn with_secret(self, secret: &str) -> Self {
        Self { secret: secret.to_owned(), ..self }
    }

    fn with_body(self, body: &[u8]) -> Self {
        Self { body: body.to_vec(), ..self }
    }

    fn seen_as(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// The hints at this time, none of which says what must not be said.
    fn hints_at(&self, now: u64) -> Vec<String> {
        let secrets = self.secrets();
        let preset = presets::find(self.name).unwrap();
        let (headers, published) = (&self.headers, &NoPublishedKeys);
        let request = Request {
            method: "POST",
            url: &self.url,
            headers,
            body: &self.body,
            now,
            published,
            client: None,
        };
        let case = Case { preset, settings: &self.settings, secrets: &secrets, request: &request };
        let scheme = Scheme::of(preset, &self.settings, self.secrets()).unwrap();
        let hints = hints(&case, &scheme.receive(&request).unwrap_err());
        for hint in &hints {
            assert!(!hint.contains(self.secret.trim()), "{hint}");
            assert!(self.headers.values().all(|value| !hint.contains(value.to_str().unwrap())), "{hint}");
        }
        hints
    }

    fn hints(&self) -> Vec<String> {
        self.hints_at(NOW)
    }
}

#[test]
fn a_secret_that_was_copied_with_or_without_something_is_named() {
    for (signed_with, given, expected) in [
        ("s3cret", "\"s3cret\"", "without the quotes around it"),
        ("s3cret", "'s3cret'", "without the quotes around it"),
        ("s3cret", " s3cret ", "without the white space around it"),
        ("s3cret", "whsec_s3cret", "without its `whsec_`"),
        ("whsec_s3cret", "s3cret", "with `whsec_` before it"),
        ("s3cret\n", "s3cret", "with a line feed behind it: the sender has that in its secret"),
        ("s3cret\r\n", "s3cret", "with a line end behind it: the sender has that in its secret"),
    ] {
        let hints = Scene::new("github", signed_with).signed().with_secret(given).hints();
        assert_eq!(hints[0], format!("it verifies with the secret one {expected}"), "{given:?}");
    }
    let hints = Scene::new("github", "s3cret").signed().with_secret("another").hints();
    assert_eq!(hints, [""; 0], "nothing is named that does not verify");
}

#[test]
fn a_secret_that_is_decoded_on_one_side_only_is_named() {
    let first = |scene: Scene| scene.hints().swap_remove(0);
    let decoding =
        Scene::new("stripe", "c2VjcmV0").sent_with(|template| template.key = KeyFormat::Base64).signed();
    assert_eq!(
        first(decoding.with_secret("whsec_c2VjcmV0")),
        "it verifies with the secret one without its `whsec_`, decoded from base64"
    );
    let hex = Scene::new("stripe", "00ff00ff").sent_with(|template| template.key = KeyFormat::Hex).signed();
    assert_eq!(first(hex), "it verifies with the secret one decoded from hexadecimal digits");
    let text = Scene::new("adyen-platform", "00ff00ff").sent_with(|template| template.key = KeyFormat::Utf8);
    assert_eq!(first(text.signed()), "it verifies with the secret one as text, not decoded");
    // A preset in code: what its key decodes to is the text of the secret.
    let secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    for (text, phrase) in
        [(secret, "as text, not decoded"), (&secret[6..], "without its `whsec_`, as text, not decoded")]
    {
        use base64::Engine as _;
        let encoded = base64::engine::general_purpose::STANDARD.encode(text);
        let hint = first(Scene::new("standard", &encoded).signed().with_secret(secret));
        assert_eq!(hint, format!("it verifies with the secret one {phrase}"));
    }
}

#[test]
fn a_body_that_was_changed_on_its_way_is_named() {
    for (signed, received, expected) in [
        (&b"{}"[..], &b"{}\n"[..], "without the line end at its end"),
        (b"{}", b"{}\r\n", "without the line end at its end"),
        (b"{}", b"\n{}\n\n", "without the white space around it"),
        (b"{}\n", b"{}", "with a line feed behind it"),
        (b"{}\r\n", b"{}", "with a carriage return and a line feed behind it"),
        (b"[1,\n2]\n", b"[1,\r\n2]\r\n", "with line feeds where it has carriage returns and line feeds"),
        (b"[1,\r\n2]\r\n", b"[1,\n2]\n", "with carriage returns and line feeds where it has line feeds"),
        (b"a=b", b"\xef\xbb\xbfa=b", "without the byte order mark before it"),
        (
            b"{\"b\":1,\"a\":2}",
            b"{ \"b\": 1, \"a\": 2 }",
            "as compact JSON, as JavaScript's `JSON.stringify` writes it",
        ),
        (b"{\"a\": \"\\u00e4\"}", "{\"a\":\"ä\"}".as_bytes(), "as Python's `json.dumps` writes it"),
        (b"{\"a\":\"\\/\"}", b"{\"a\": \"/\"}", "as PHP's `json_encode` writes it"),
    ] {
        let hints = Scene::new("github", "s3cret").with_body(signed).signed().with_body(received).hints();
        assert_eq!(hints.first(), Some(&format!("it verifies over the body {expected}")), "{received:?}");
    }
}

#[test]
fn how_a_signature_is_made_and_written_is_named() {
    let mut upper = Scene::new("slack", "s3cret").signed();
    let value =
        upper.headers["x-slack-signature"].to_str().unwrap().to_ascii_uppercase().replace("V0=", "v0=");
    upper.headers.insert("x-slack-signature", HeaderValue::from_str(&value).unwrap());
    assert!(upper.hints()[0].contains("digits of x-slack-signature in lower case"), "{:?}", upper.hints());
    let other = Scene::new("shopify", "s3cret").sent_with(|template| {
        (template.algorithm, template.encoding) = (Algorithm::HmacSha512, Encoding::Hex);
    });
    assert_eq!(
        other.signed().hints()[0],
        "it verifies as HMAC-SHA512, written in lower-case hexadecimal digits"
    );
}

#[test]
fn a_url_that_differs_is_named() {
    for (configured, expected) in [
        ("http://receiver.example/in/hook", "beginning with `https:`"),
        ("https://receiver.example/in/hook/", "without the slash at the end of its path"),
        ("https://receiver.example:443/in/hook", "without its port"),
        ("https://proxy.example/in/hook", "with the host of the header `Host`"),
    ] {
        let mut scene = Scene::new("square", "s3cret").signed();
        scene.headers.insert("host", HeaderValue::from_static("receiver.example"));
        scene.settings.url = Some(configured.to_owned());
        assert_eq!(scene.hints()[0], format!("it verifies with the URL {expected}"), "{configured}");
    }
    for (given, expected) in [
        ("http://receiver.example/in/hook", "beginning with `http:`"),
        ("https://receiver.example/in/hook/", "with a slash at the end of its path"),
        ("https://receiver.example:443/in/hook", "with the port 443"),
    ] {
        let mut scene = Scene::new("square", "s3cret");
        scene.url = given.to_owned();
        let mut scene = scene.signed();
        scene.url = "https://receiver.example/in/hook".to_owned();
        assert_eq!(scene.hints()[0], format!("it verifies with the URL {expected}"), "{given}");
    }
    let mut scene = Scene::new("square", "s3cret");
    scene.url = "https://receiver.example/in/hook".to_owned();
    let mut scene = scene.signed();
    scene.url = URL.to_owned();
    assert_eq!(scene.hints()[0], "it verifies with the URL without its query");
}

#[test]
fn another_provider_is_named() {
    let hints = Scene::new("linear", "s3cret").with_body(br#"{"webhookTimestamp":1700000000000}"#).signed();
    assert_eq!(hints.seen_as("stripe").hints(), ["it verifies as `linear`"]);
    // GitHub and Meta sign in the same header.
    let meta = Scene::new("meta", "s3cret").signed().seen_as("dropbox");
    assert_eq!(meta.hints(), ["it verifies as `github`"]);
    let bitbucket = Scene::new("bitbucket", "s3cret").signed().with_secret("another");
    let hint = bitbucket.seen_as("github").hints().swap_remove(0);
    assert!(hint.starts_with("it has what requests of `") && hint.contains("`bitbucket`"), "{hint}");
}

#[test]
fn a_time_that_is_off_is_explained() {
    let scene = Scene::new("stripe", "s3cret").signed();
    let late = scene.hints_at(NOW + 1_000);
    assert_eq!(late, ["a tolerance of 1000 s would let the time pass, and captured requests for as long"]);
    let early = scene.hints_at(NOW - 400);
    assert!(early[0].contains("ahead of now") && early[1].contains("400 s"), "{early:?}");
    assert_eq!(scene.hints_at(NOW + 86_401), [""; 0]);
    let seconds = Scene::new("hubspot", "s3cret").sent_with(|template| {
        template.timestamp.as_mut().unwrap().unit = Unit::Seconds;
    });
    assert_eq!(seconds.signed().hints(), ["it verifies if the signed time is in seconds"]);
}

/// Trying costs a few readings of the body, so it stops where no source would take it.
#[test]
fn a_body_that_is_too_long_is_not_tried() {
    let long = vec![b' '; MAX_BODY_BYTES];
    let scene = Scene::new("github", "s3cret").with_body(&long).signed();
    let hints = scene.with_body(&[&long[..], b"\n"].concat()).hints();
    assert_eq!(hints, [""; 0]);
}
