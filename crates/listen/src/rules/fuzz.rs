//! Heads of any form, judged by the rules said once more in other words.

use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};
use proptest::prelude::*;

use super::*;

const LIMITS: HeadLimits = HeadLimits { bytes: 2_000, fields: 100 };

fn fields() -> impl Strategy<Value = Vec<(&'static str, Vec<u8>)>> {
    let name =
        prop::sample::select(vec!["host", "transfer-encoding", "expect", "content-length", "x-a", "te"]);
    let value = prop_oneof![
        Just("a.example".to_owned()),
        "[a-z0-9.:@%\\[\\]-]{0,8}(:[0-9]{1,6})?",
        "(chunked|gzip|identity|Chunked|,| |\t){0,4}",
        "(100-continue|100-Continue|,| |x){0,3}",
        "[ -~]{0,12}",
        "a{800,900}",
    ];
    let value = prop_oneof![
        9 => value.prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..12),
    ];
    prop_oneof![
        8 => prop::collection::vec((name.clone(), value), 0..6),
        1 => prop::collection::vec((name, Just(b"1".to_vec())), 90..110),
    ]
}

fn targets() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "/[!$-;=?-Z_a-z~]{0,12}",
        1 => Just("*".to_owned()),
        1 => "(http|https|ws|HTTP)://[a-z0-9.:@\\[\\]]{1,10}(/[a-z?]{0,4})?",
        1 => "[a-z.]{1,6}:[0-9]{1,6}",
        1 => "[ -~é]{0,10}",
    ]
}

fn heads() -> impl Strategy<Value = Request<()>> {
    let version = prop::sample::select(vec![Version::HTTP_10, Version::HTTP_11, Version::HTTP_2]);
    let method = prop::sample::select(vec!["GET", "POST", "OPTIONS", "CONNECT", "BREW"]);
    (version, method, targets(), fields()).prop_filter_map("a head that a parser lets through", |head| {
        let (version, method, target, fields) = head;
        let mut request = Request::builder().method(method).version(version).uri(target).body(()).ok()?;
        for (name, value) in fields {
            request
                .headers_mut()
                .append(HeaderName::from_static(name), HeaderValue::from_bytes(&value).ok()?);
        }
        Some(request)
    })
}

fn values<'h>(headers: &'h HeaderMap, name: &str) -> Vec<&'h [u8]> {
    headers.get_all(name).iter().map(HeaderValue::as_bytes).collect()
}

fn listed(headers: &HeaderMap, name: &str) -> Vec<String> {
    let text = values(headers, name).join(&b","[..]);
    let text = String::from_utf8_lossy(&text).to_ascii_lowercase();
    text.split(',')
        .map(|part| part.trim_matches([' ', '\t', '\n', '\x0c', '\r']))
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// What a server may take for one host, as a URL has it.
fn is_host(text: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(text) else { return false };
    let uri = format!("http://{text}/").parse::<Uri>();
    let has_user = text.contains('@');
    !text.is_empty() && !has_user && uri.is_ok_and(|uri| uri.host().is_some_and(|host| !host.is_empty()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_head_that_is_taken_breaks_no_rule(head in heads()) {
        let headers = head.headers();
        let awaits = awaits_continue(&head);
        let checked = check_head(&head, LIMITS);
        if let Err(BadHead::TooLarge { limit }) = checked {
            prop_assert_eq!(limit, LIMITS);
        }
        if checked.is_err() {
            return Ok(());
        }
        let hosts = values(headers, "host");
        prop_assert!(hosts.len() <= 1, "{head:?}");
        prop_assert!(hosts.iter().all(|host| is_host(host)), "{head:?}");
        prop_assert!(head.method() != Method::CONNECT, "{head:?}");
        prop_assert!(matches!(head.uri().scheme_str(), None | Some("http" | "https")), "{head:?}");
        let expected = listed(headers, "expect");
        prop_assert!(head.version() == Version::HTTP_10 || expected.iter().all(|one| one == "100-continue"), "{head:?}");
        prop_assert_eq!(awaits, head.version() == Version::HTTP_11 && headers.contains_key("expect"));
        match head.version() {
            Version::HTTP_2 => {
                prop_assert!(headers.len() <= LIMITS.fields, "{head:?}");
                let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
                prop_assert!(bytes <= LIMITS.bytes, "{head:?}");
                prop_assert!(head.uri().authority().is_some() || hosts.len() == 1, "{head:?}");
            }
            version => {
                prop_assert!(version == Version::HTTP_10 || hosts.len() == 1, "{head:?}");
                let codings = listed(headers, "transfer-encoding");
                prop_assert!(codings.is_empty() || codings == ["chunked"], "{head:?}");
            }
        }
    }
}
