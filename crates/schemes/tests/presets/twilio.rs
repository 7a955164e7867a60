//! Forms, and bodies with a hash in the query.

use floodgate_event::scheme::Settings;
use floodgate_schemes::{Failure, InvalidSettings};

use crate::support::{Sent, URL, post, scheme, secret, try_scheme, with_secrets};

const FORM: &str = "application/x-www-form-urlencoded; charset=UTF-8";

fn form(body: &str) -> Sent {
    post(body).header("content-type", FORM)
}

fn with_url(url: &str) -> Settings {
    Settings { url: Some(url.to_owned()), ..Settings::default() }
}

/// The body of a signed request is another one.
fn with_body(sent: &Sent, body: &str) -> Sent {
    Sent { body: body.into(), ..sent.clone() }
}

#[test]
fn a_form_is_signed_by_its_parameters() {
    let ours = scheme("twilio");
    let sent = form("From=%2B1555&Digits=2&Digits=1&Body=a+b").query("x=1").signed(&ours).unwrap();
    assert_eq!(sent.key(&ours), Ok("key-0"));
    for same in
        ["Digits=1&From=%2b1555&Body=a%20b&Digits=2", "Digits=1&Digits=2&Digits=2&Body=a+b&From=%2B1555"]
    {
        assert_eq!(with_body(&sent, same).key(&ours), Ok("key-0"), "{same}");
    }
    for other in ["From=%2B1555&Digits=2&Digits=1&Body=a+c", "From=%2B1555&Digits=2&Body=a+b", ""] {
        assert_eq!(with_body(&sent, other).key(&ours), Err(Failure::NoMatch { keys: 1 }), "{other}");
    }
    assert!(sent.clone().query("x=2").key(&ours).is_err());
}

/// The bytes are not made text first: what is not UTF-8 would all become the same.
#[test]
fn bytes_that_are_no_text_keep_their_difference() {
    let ours = scheme("twilio");
    let sent = form("Body=%ff").signed(&ours).unwrap();
    assert_eq!(sent.key(&ours), Ok("key-0"));
    for other in ["Body=%fe", "Body=%ef%bf%bd"] {
        assert!(with_body(&sent, other).key(&ours).is_err(), "{other}");
    }
}

#[test]
fn a_body_of_no_kind_is_read_as_a_form() {
    let ours = scheme("twilio");
    let mut sent = form("From=%2B1555&Body=a+b").signed(&ours).unwrap();
    sent.headers.remove("content-type");
    assert_eq!(sent.key(&ours), Ok("key-0"));
    for other in ["From=%2B1555&Body=a+c", "{\"forged\":true}", ""] {
        assert_eq!(with_body(&sent, other).key(&ours), Err(Failure::NoMatch { keys: 1 }), "{other}");
    }
    let json = sent.clone().header("content-type", "application/json");
    assert!(matches!(json.key(&ours), Err(Failure::Missing(_))));
}

/// Twilio signs some URLs with more escapes than its requests have.
#[test]
fn a_query_may_be_signed_with_its_signs_escaped() {
    for preset in ["twilio", "twilio-shared-key"] {
        let ours = scheme(preset);
        let escaped = form("a=1").query("Body=It%27s+%3Ca%3E").signed(&ours).unwrap();
        let raw = escaped.clone().query("Body=It's+<a>");
        assert_eq!((escaped.key(&ours), raw.key(&ours)), (Ok("key-0"), Ok("key-0")));
        assert_eq!(raw.content(&ours), escaped.content(&ours), "both are the same event");
        for other in ["Body=It's+%3Ca%3e", "Body=It%2527s+<a>", "Body=Its+<a>"] {
            assert!(raw.clone().query(other).key(&ours).is_err(), "{other}");
        }
        // The escapes are not undone.
        let unescaped = form("a=1").query("Body=It's").signed(&ours).unwrap();
        assert!(unescaped.query("Body=It%27s").key(&ours).is_err());
    }
}

#[test]
fn a_body_that_is_no_form_needs_its_hash_in_the_query() {
    let ours = scheme("twilio");
    let sent = post("{\"n\":1}").query("x=1").signed(&ours).unwrap();
    assert!(sent.url.starts_with(&format!("{URL}?x=1&bodySHA256=")), "{}", sent.url);
    assert_eq!(sent.key(&ours), Ok("key-0"));
    for body in ["{\"n\":2}", ""] {
        assert!(matches!(with_body(&sent, body).key(&ours), Err(Failure::Malformed { .. })), "{body}");
    }
    let url = sent.url.split_once('&').unwrap().0.to_owned();
    let stripped = Sent { url, ..sent.clone() };
    assert!(matches!(stripped.key(&ours), Err(Failure::Missing(_))));
    let hash = sent.url.rsplit_once('=').unwrap().1;
    let twice = Sent { url: format!("{}&bodySHA256={hash}", sent.url), ..sent.clone() };
    assert!(matches!(twice.key(&ours), Err(Failure::Malformed { .. })));
    assert_eq!(sent.signed(&ours).unwrap().url, sent.url);
}

/// A request without a body is signed by its URL alone. Nobody can put a body under that signature.
#[test]
fn the_signature_of_a_url_covers_no_body() {
    let ours = scheme("twilio");
    let sent = Sent { method: "GET", ..post("") }.query("x=1").signed(&ours).unwrap();
    assert_eq!(sent.key(&ours), Ok("key-0"));
    for kind in ["application/json", "text/plain", "multipart/form-data", FORM] {
        let forged = with_body(&sent, "{\"forged\":true}").header("content-type", kind);
        for method in ["GET", "POST"] {
            assert!(Sent { method, ..forged.clone() }.key(&ours).is_err(), "{method} {kind}");
        }
    }
    let two = with_body(&sent, "a=1").header("content-type", FORM).another("content-type", "text/plain");
    assert!(two.key(&ours).is_err());
}

#[test]
fn forms_have_an_end() {
    let ours = scheme("twilio");
    let many = |count| form(&vec!["a=1"; count].join("&"));
    let signed = many(1_000).signed(&ours).unwrap();
    assert_eq!(signed.key(&ours), Ok("key-0"));
    let longer = Sent { headers: signed.headers, ..many(1_001) };
    assert!(matches!(longer.key(&ours), Err(Failure::Malformed { .. })));
}

#[test]
fn the_url_is_the_configured_one_with_or_without_its_port() {
    let base = "https://hooks.example:8443/in/source";
    let ours = try_scheme("twilio", &with_url(base), &[secret("twilio")]).unwrap();
    let signed_for = |url: &str| Sent { url: url.to_owned(), ..form("a=1") }.signed(&ours).unwrap();
    for url in [base, "https://hooks.example/in/source"] {
        // The sender's own word for the host does not count.
        let sent = Sent { url: "http://attacker.example/in/source".to_owned(), ..signed_for(url) };
        assert_eq!(sent.key(&ours), Ok("key-0"), "{url}");
    }
    for url in ["https://hooks.example:443/in/source", "https://hooks.example:8443/in/other"] {
        assert!(signed_for(url).key(&ours).is_err(), "{url}");
    }
}

#[test]
fn a_source_needs_its_url() {
    let unset = try_scheme("twilio", &Settings::default(), &["x"]).unwrap_err();
    assert!(matches!(unset, InvalidSettings::Needs { setting: "url", .. }));
    for bad in ["hooks.example/in", "https://hooks.example/in?x=1", "https://hooks.example/in#rc=2"] {
        let error = try_scheme("twilio", &with_url(bad), &["x"]).unwrap_err();
        assert!(matches!(error, InvalidSettings::Setting { setting: "url", .. }), "{bad}");
    }
}

/// The header that names the algorithm is not signed: whoever strips it does not choose the weaker one.
#[test]
fn the_algorithm_is_the_configured_one() {
    let key = ["one key"];
    let (sha1, sha256) = (with_secrets("twilio", &key), with_secrets("twilio-shared-key", &key));
    let named = form("a=1").header("x-twilio-webhooks-signature-settings", "key=k,algorithm=HMAC_SHA256");
    for sent in [form("a=1"), named] {
        let (old, new) = (sent.signed(&sha1).unwrap(), sent.signed(&sha256).unwrap());
        assert_eq!((old.key(&sha1), new.key(&sha256)), (Ok("key-0"), Ok("key-0")));
        assert!(old.key(&sha256).is_err() && new.key(&sha1).is_err());
    }
}

/// Whoever captured a request can send its parameters in any order; that makes no other event.
#[test]
fn forms_with_one_signature_have_one_content() {
    let ours = scheme("twilio");
    let sent = form("From=1&Body=a+b").signed(&ours).unwrap();
    let content = sent.content(&ours).unwrap();
    for same in ["Body=a%20b&From=1", "From=1&Body=a+b&From=1", "Bod=ya+b&From=1"] {
        let other = with_body(&sent, same);
        assert_eq!((other.key(&ours), other.content(&ours)), (Ok("key-0"), Some(content.clone())), "{same}");
    }
    assert_ne!(form("From=1&Body=a+c").content(&ours), Some(content));
    let url = "Digits=1".to_owned();
    let moved = form("").query(&format!("{url}From1")).content(&ours);
    assert_eq!(moved, form("From=1").query(&url).content(&ours), "a parameter that was moved into the query");
    let moved = form("").query("Digits=1Bodyit's").signed(&ours).unwrap();
    let honest = Sent { headers: moved.headers.clone(), ..form("Body=it%27s").query("Digits=1") };
    assert_eq!((moved.key(&ours), honest.key(&ours)), (Ok("key-0"), Ok("key-0")));
    assert_eq!(moved.content(&ours), honest.content(&ours), "moved, with a sign that a query may escape");
}
