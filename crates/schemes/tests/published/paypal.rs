//! PayPal.

use floodgate_event::scheme::Settings;
use floodgate_event::source::Locator;
use floodgate_schemes::{Failure, InvalidSettings, Received, Scheme, Step};
use http::HeaderMap;

use crate::support::{Published, certificate, headers, post, sign_rsa_base64};

const URL: &str = "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77";
const NAME: &str = "messageverificationcerts.paypal.com";
const TIME: &str = "2016-10-05T14:57:40Z";
const NOW: u64 = 1_475_679_460;
const DAY: u64 = 86_400;
const BODY: &[u8] = b"{\"id\":\"WH-1\",\"event_type\":\"PAYMENT.SALE.COMPLETED\"}";
/// The CRC32 of [`BODY`], by zlib.
const CRC32: u32 = 0x5531a8a6;

fn scheme(tolerance_seconds: Option<u64>) -> Scheme {
    let settings = Settings { webhook_id: Some("WID".to_owned()), tolerance_seconds, ..Settings::default() };
    Scheme::new("paypal", &settings, vec![]).unwrap()
}

fn published() -> Published {
    Published::of(URL, certificate(&[NAME], NOW - DAY, NOW + DAY))
}

fn signed(content: &str) -> HeaderMap {
    headers(&[
        ("paypal-transmission-id", "t-1"),
        ("paypal-transmission-time", TIME),
        ("paypal-transmission-sig", &sign_rsa_base64(content.as_bytes())),
        ("paypal-cert-url", URL),
        ("paypal-auth-algo", "SHA256withRSA"),
    ])
}

fn good() -> HeaderMap {
    signed(&format!("t-1|{TIME}|WID|{CRC32}"))
}

fn with(mut headers: HeaderMap, name: &'static str, value: &str) -> HeaderMap {
    headers.insert(name, value.parse().unwrap());
    headers
}

fn receive(headers: &HeaderMap, published: &Published) -> Result<(), Failure> {
    match scheme(None).receive(&post(headers, BODY, NOW, published))? {
        Received::Event("published") => Ok(()),
        other => panic!("{other:?}"),
    }
}

fn step(headers: &HeaderMap) -> Step {
    receive(headers, &published()).unwrap_err().step()
}

#[test]
fn a_request_of_paypal_is_an_event() {
    assert_eq!(receive(&good(), &published()), Ok(()));
    let request = scheme(None);
    assert_eq!(request.require("POST", &good()), Ok(()));
}

#[test]
fn every_header_is_needed_once() {
    for name in good().keys() {
        let mut short = good();
        short.remove(name);
        assert_eq!(step(&short), Step::Form, "{name}");
        assert_eq!(scheme(None).require("POST", &short).unwrap_err().step(), Step::Form, "{name}");
        let mut twice = good();
        twice.append(name, twice[name].clone());
        assert_eq!(step(&twice), Step::Form, "{name}");
    }
}

#[test]
fn whatever_is_signed_cannot_be_changed() {
    assert_eq!(step(&with(good(), "paypal-transmission-id", "t-2")), Step::Signature);
    assert_eq!(step(&with(good(), "paypal-transmission-time", "2016-10-05T14:57:41Z")), Step::Signature);
    assert_eq!(step(&signed(&format!("t-1|{TIME}|OTHER|{CRC32}"))), Step::Signature);
    assert_eq!(step(&signed(&format!("t-1|{TIME}|WID|{}", CRC32 ^ 1))), Step::Signature);
    for algorithm in ["SHA1withRSA", "sha256withrsa", "SHA256withRSA ", "none", ""] {
        let other = with(good(), "paypal-auth-algo", algorithm.trim_end());
        assert_eq!(
            receive(&other, &published()).is_ok(),
            algorithm.trim_end() == "SHA256withRSA",
            "{algorithm}"
        );
    }
    for signature in ["", "?", "AAAA"] {
        let refused = receive(&with(good(), "paypal-transmission-sig", signature), &published());
        assert!(refused.is_err(), "{signature}");
    }
}

#[test]
fn a_part_cannot_reach_into_the_next() {
    let shifted = signed(&format!("t|1|{TIME}|WID|{CRC32}"));
    assert_eq!(step(&with(shifted.clone(), "paypal-transmission-id", "t|1")), Step::Form);
    let shifted = with(shifted, "paypal-transmission-id", "t");
    assert_eq!(step(&with(shifted, "paypal-transmission-time", &format!("1|{TIME}"))), Step::Form);
    assert_eq!(step(&with(good(), "paypal-transmission-id", "")), Step::Form);
}

#[test]
fn keys_come_from_paypal_only() {
    let (foreign, empty) =
        ("https://api.paypal.com.evil.example/v1/notifications/certs/CERT-1", Published::default());
    let refused = receive(&with(good(), "paypal-cert-url", foreign), &empty);
    assert_eq!(refused, Err(Failure::ForeignKey(foreign.to_owned())));
    assert_eq!(empty.asked(), Vec::<String>::new());
    assert_eq!(receive(&good(), &empty), Err(Failure::UnknownKey(URL.to_owned())));
    assert!(scheme(None).fetch(URL).is_some());
    assert!(scheme(None).fetch(foreign).is_none());
    assert_eq!(scheme(None).publishers(), Vec::<&str>::new());
}

#[test]
fn a_certificate_is_paypals_and_has_not_expired() {
    let receive = |name: &str, from, until| {
        let published = Published::of(URL, certificate(&[name], from, until));
        receive(&good(), &published)
    };
    assert_eq!(receive("messageverificationcerts.sandbox.paypal.com", NOW - DAY, NOW + DAY), Ok(()));
    let unusable = |why| Err(Failure::UnusableKey { url: URL.to_owned(), why });
    for name in [
        "www.paypal.com",
        "messageverificationcerts.paypal.com.evil.example",
        "xmessageverificationcerts.paypal.com",
    ] {
        assert_eq!(receive(name, NOW - DAY, NOW + DAY), unusable("its subject is another"), "{name}");
    }
    assert_eq!(receive(NAME, NOW - DAY, NOW - 1), unusable("expired"));
    // As in the vectors, and in PayPal's own library for Python.
    assert_eq!(receive(NAME, NOW + DAY, NOW + 2 * DAY), Ok(()));
}

#[test]
fn a_time_counts_only_where_the_source_says_so() {
    let receive =
        |tolerance, now| scheme(tolerance).receive(&post(&good(), BODY, now, &published())).map(drop);
    assert_eq!(receive(None, NOW + DAY), Ok(()));
    assert_eq!(receive(Some(300), NOW + 300), Ok(()));
    assert_eq!(receive(Some(300), NOW + 301), Err(Failure::Stale { seconds: -301, tolerance: 300 }));
    assert_eq!(receive(Some(300), NOW - 301), Err(Failure::Stale { seconds: 301, tolerance: 300 }));
    let odd = with(signed(&format!("t-1|now|WID|{CRC32}")), "paypal-transmission-time", "now");
    let refused = scheme(Some(300)).receive(&post(&odd, BODY, NOW, &published())).map(drop);
    assert_eq!(refused.unwrap_err().step(), Step::Form);
}

#[test]
fn a_source_names_its_webhook() {
    let of = |id: Option<&str>| {
        let settings = Settings { webhook_id: id.map(ToOwned::to_owned), ..Settings::default() };
        Scheme::new("paypal", &settings, vec![]).map(drop)
    };
    assert!(matches!(of(None), Err(InvalidSettings::Needs { setting: "webhook_id", .. })));
    assert!(matches!(of(Some("")), Err(InvalidSettings::Needs { setting: "webhook_id", .. })));
    assert!(matches!(of(Some("a|b")), Err(InvalidSettings::Setting { setting: "webhook_id", .. })));
}

/// A checksum covers nothing: another body of the same one is easily made.
#[test]
fn only_the_id_of_the_transmission_tells_duplicates() {
    let scheme = scheme(None);
    assert!(scheme.covers(&Locator::Header("paypal-transmission-id".to_owned())));
    assert!(!scheme.covers(&Locator::Header("paypal-transmission-sig".to_owned())));
    assert!(!scheme.covers(&Locator::Json("/id".to_owned())));
}
