//! The rules of HTTP for a request's head that hyper leaves to the server. A service checks them before it
//! reads the body, because hyper answers `Expect: 100-continue` at that moment.

use std::net::Ipv6Addr;

use http::header::{EXPECT, HOST, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};

/// The limits of a request's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// The most bytes of the request line and the header fields.
    pub bytes: usize,
    /// The most header fields.
    pub fields: usize,
}

/// What a header field counts beside its name and value
/// ([RFC 9113 §6.5.2](https://www.rfc-editor.org/rfc/rfc9113#section-6.5.2)).
const FIELD_OVERHEAD: usize = 32;

/// Why a request must not be served, whatever its path. It is always the sender's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadHead {
    /// 400: the head breaks a rule of HTTP, which is named.
    Malformed(&'static str),
    /// 501: this server does not implement a part of HTTP, which is named.
    NotImplemented(&'static str),
    /// 431: the head has too many bytes, as HTTP/2 counts them, or too many fields.
    TooLarge {
        /// The most that a head may have.
        limit: HeadLimits,
    },
    /// 417: the head expects something other than 100-continue.
    Expectation,
}

/// Checks a head within `limits`.
///
/// # Errors
/// If the request must not be served, whatever its path.
pub fn check_head<B>(request: &Request<B>, limits: HeadLimits) -> Result<(), BadHead> {
    if request.version() == Version::HTTP_2 {
        // HTTP/1's parser has counted the fields, and the bytes on the wire.
        check_size(request, limits)?;
        check_authority(request.uri(), request.headers())?;
        check_values(request.headers())?;
    } else {
        check_host(request.version(), request.headers())?;
        check_coding(request.headers())?;
    }
    check_target(request.method(), request.uri())?;
    check_expectation(request.version(), request.headers())
}

/// Returns true if the sender waits for a 100 before it sends the body. Call it after [`check_head`], which
/// refuses all other expectations. hyper sends no 100 over HTTP/2, where senders continue after a moment.
pub fn awaits_continue<B>(request: &Request<B>) -> bool {
    request.version() == Version::HTTP_11 && request.headers().contains_key(EXPECT)
}

fn check_size<B>(request: &Request<B>, limits: HeadLimits) -> Result<(), BadHead> {
    let uri = request.uri();
    let authority = uri.authority().map_or(0, |authority| authority.as_str().len());
    let target = uri.path().len() + uri.query().map_or(0, str::len) + authority;
    let fields =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD_OVERHEAD);
    let bytes = request.method().as_str().len() + target + fields.sum::<usize>();
    let fits = bytes <= limits.bytes && request.headers().len() <= limits.fields;
    if fits { Ok(()) } else { Err(BadHead::TooLarge { limit: limits }) }
}

/// [RFC 9112 §3.2](https://www.rfc-editor.org/rfc/rfc9112#section-3.2). HTTP/1.0 may leave it out.
fn check_host(version: Version, headers: &HeaderMap) -> Result<(), BadHead> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (_, Some(_)) => Err(BadHead::Malformed("more than one Host header")),
        (Some(host), None) => host_of(host).map(drop),
        (None, None) if version < Version::HTTP_11 => Ok(()),
        (None, None) => Err(BadHead::Malformed("no Host header")),
    }
}

/// [RFC 9113 §8.3.1](https://www.rfc-editor.org/rfc/rfc9113#section-8.3.1):
/// `:authority`, or Host where there is none, and no two that differ.
fn check_authority(uri: &Uri, headers: &HeaderMap) -> Result<(), BadHead> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (_, Some(_)) => return Err(BadHead::Malformed("more than one Host header")),
        (host, None) => host.map(host_of).transpose()?,
    };
    match (uri.authority(), host) {
        (Some(authority), Some(host)) if !is_same(authority, &host, uri.scheme_str()) => {
            Err(BadHead::Malformed("Host differs from :authority"))
        }
        (None, None) => Err(BadHead::Malformed("neither :authority nor Host")),
        _ => Ok(()),
    }
}

/// [RFC 9113 §8.2.1](https://www.rfc-editor.org/rfc/rfc9113#section-8.2.1). HTTP/1's parser removes such
/// white space, which is allowed there.
fn check_values(headers: &HeaderMap) -> Result<(), BadHead> {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let is_padded = |value: &[u8]| is_blank(value.first()) || is_blank(value.last());
    if headers.values().any(|value| is_padded(value.as_bytes())) {
        return Err(BadHead::Malformed("white space around a field value"));
    }
    Ok(())
}

fn host_of(value: &HeaderValue) -> Result<Authority, BadHead> {
    let invalid = || BadHead::Malformed("invalid Host header");
    let authority = Authority::try_from(value.as_bytes()).map_err(|_| invalid())?;
    if names_a_host(&authority) { Ok(authority) } else { Err(invalid()) }
}

/// Returns true for a host with or without a port. A user is not allowed: none belongs in `http` and `https`
/// ([RFC 9110 §4.2](https://www.rfc-editor.org/rfc/rfc9110#section-4.2)), where a host is never empty either.
fn names_a_host(authority: &Authority) -> bool {
    let (text, host) = (authority.as_str(), authority.host());
    let is_host = match host.strip_prefix('[') {
        Some(literal) => literal.strip_suffix(']').is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok()),
        None => !host.is_empty(),
    };
    let is_port = |rest: &str| {
        let port = rest.strip_prefix(':');
        rest.is_empty() || port.is_some_and(|port| port.is_empty() || is_number(port))
    };
    is_host && text.strip_prefix(host).is_some_and(is_port)
}

fn is_number(port: &str) -> bool {
    port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

fn is_same(one: &Authority, other: &Authority, scheme: Option<&str>) -> bool {
    let usual = if scheme == Some("http") { 80 } else { 443 };
    let port = |authority: &Authority| authority.port_u16().unwrap_or(usual);
    one.host().eq_ignore_ascii_case(other.host()) && port(one) == port(other)
}

/// Only `chunked` is decoded. What is not the last coding, hyper refuses itself.
fn check_coding(headers: &HeaderMap) -> Result<(), BadHead> {
    let mut codings = 0;
    let mut chunked = 0;
    for coding in headers.get_all(TRANSFER_ENCODING).iter().flat_map(members) {
        codings += 1;
        chunked += usize::from(coding.eq_ignore_ascii_case(b"chunked"));
    }
    match (codings, chunked) {
        (0, _) | (1, 1) => Ok(()),
        // RFC 9112 §6.1: never applied twice.
        (_, 2..) => Err(BadHead::Malformed("chunked more than once")),
        _ => Err(BadHead::NotImplemented("transfer codings other than chunked")),
    }
}

/// The target's form ([RFC 9112 §3.2](https://www.rfc-editor.org/rfc/rfc9112#section-3.2)).
fn check_target(method: &Method, uri: &Uri) -> Result<(), BadHead> {
    if method == Method::CONNECT {
        return Err(BadHead::NotImplemented("CONNECT"));
    }
    let is_web = matches!(uri.scheme_str(), None | Some("http" | "https"));
    let names_a_host = uri.authority().is_none_or(names_a_host);
    let has_path = uri.path().starts_with('/') || (uri.path() == "*" && method == Method::OPTIONS);
    if is_web && names_a_host && has_path {
        Ok(())
    } else {
        Err(BadHead::Malformed("invalid request target"))
    }
}

/// [RFC 9110 §10.1.1](https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1). HTTP/1.0 has no expectations.
fn check_expectation(version: Version, headers: &HeaderMap) -> Result<(), BadHead> {
    let met = |member: &[u8]| member.eq_ignore_ascii_case(b"100-continue");
    let all_met = headers.get_all(EXPECT).iter().flat_map(members).all(met);
    if version < Version::HTTP_11 || all_met { Ok(()) } else { Err(BadHead::Expectation) }
}

/// The members of a list, without those that are empty.
fn members(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: HeadLimits = HeadLimits { bytes: 1_000, fields: 28 };

    fn head(version: Version, target: &str, headers: &[(&str, &[u8])]) -> Request<()> {
        let mut request = Request::builder().method("POST").version(version).uri(target).body(()).unwrap();
        for (name, value) in headers {
            let name = name.parse::<http::HeaderName>().unwrap();
            request.headers_mut().append(name, HeaderValue::from_bytes(value).unwrap());
        }
        request
    }

    fn status(version: Version, target: &str, headers: &[(&str, &[u8])]) -> u16 {
        match check_head(&head(version, target, headers), MAX) {
            Ok(()) => 200,
            Err(BadHead::Malformed(_)) => 400,
            Err(BadHead::NotImplemented(_)) => 501,
            Err(BadHead::TooLarge { .. }) => 431,
            Err(BadHead::Expectation) => 417,
        }
    }

    #[test]
    fn http_1_1_names_one_host() {
        let hosts = |hosts: &[&[u8]]| {
            let headers: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
            status(Version::HTTP_11, "/", &headers)
        };
        for good in ["a", "A.example:8441", "127.0.0.1:1", "[::1]", "[::1]:443", "a:", "a_b", "a."] {
            assert_eq!(hosts(&[good.as_bytes()]), 200, "{good}");
        }
        for bad in [
            "", " ", "a b", "a/b", "/", "a@b", "a:b", "a:1:2", "a:65536", "a:+1", "[::1", "::1", "[x]",
            "a,b", "http://a", "a?b", "a#b", ":80", "a\\b", "a\tb", "[::1]x", "[]",
        ] {
            let expected = if bad == "a,b" { 200 } else { 400 };
            assert_eq!(hosts(&[bad.as_bytes()]), expected, "{bad}");
        }
        assert_eq!((hosts(&[]), hosts(&[b"a", b"a"]), hosts(&[b"\xe4"])), (400, 400, 400));
        assert_eq!(status(Version::HTTP_10, "/", &[]), 200);
        assert_eq!(status(Version::HTTP_10, "/", &[("host", b"a"), ("host", b"a")]), 400);
        assert_eq!(status(Version::HTTP_11, "http://a/", &[]), 400, "also where the target names one");
    }

    #[test]
    fn http_2_names_one_host_too() {
        let of = |target, hosts: &[&[u8]]| {
            let headers: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
            status(Version::HTTP_2, target, &headers)
        };
        assert_eq!((of("https://a/", &[]), of("/", &[b"a"]), of("https://A/", &[b"a:443"])), (200, 200, 200));
        assert_eq!((of("/", &[]), of("https://a/", &[b"b"]), of("https://a/", &[b"a:444"])), (400, 400, 400));
        assert_eq!((of("https://a@b/", &[]), of("https://a/", &[b"a", b"a"])), (400, 400));
    }

    #[test]
    fn values_have_no_white_space_around_them_in_http_2() {
        let of = |version, value: &[u8]| status(version, "https://a/", &[("host", b"a"), ("x", value)]);
        for padded in [&b" a"[..], b"a ", b"\ta", b"a\t", b" "] {
            assert_eq!((of(Version::HTTP_2, padded), of(Version::HTTP_11, padded)), (400, 200));
        }
        assert_eq!((of(Version::HTTP_2, b"a b"), of(Version::HTTP_2, b"")), (200, 200));
    }

    #[test]
    fn chunked_alone_is_decoded() {
        let codings = |lines: &[&str]| {
            let mut headers: Vec<(&str, &[u8])> = vec![("host", b"a")];
            headers.extend(lines.iter().map(|line| ("transfer-encoding", line.as_bytes())));
            status(Version::HTTP_11, "/", &headers)
        };
        for good in [&["chunked"][..], &["Chunked"], &[" , chunked ,"], &[]] {
            assert_eq!(codings(good), 200, "{good:?}");
        }
        for twice in [&["chunked, chunked"][..], &["chunked", "chunked"], &["chunked, gzip, chunked"]] {
            assert_eq!(codings(twice), 400, "{twice:?}");
        }
        for other in
            [&["gzip, chunked"][..], &["gzip", "chunked"], &["identity, chunked"], &["x;a=b,chunked"]]
        {
            assert_eq!(codings(other), 501, "{other:?}");
        }
    }

    #[test]
    fn other_expectations_fail() {
        let expect = |version, value: &[u8]| status(version, "/", &[("host", b"a"), ("expect", value)]);
        assert_eq!(expect(Version::HTTP_11, b"100-Continue"), 200);
        assert_eq!(expect(Version::HTTP_11, b"100-continue, x"), 417);
        assert_eq!(expect(Version::HTTP_2, b"x"), 417);
        assert_eq!(expect(Version::HTTP_10, b"x"), 200);
    }

    #[test]
    fn targets_have_the_form_of_their_method() {
        let of = |method: &str, target: &str| {
            let mut request = head(Version::HTTP_11, target, &[("host", b"a")]);
            *request.method_mut() = method.parse().unwrap();
            check_head(&request, MAX).is_ok()
        };
        assert!(of("POST", "/in/a") && of("POST", "http://a/in/a") && of("OPTIONS", "*"));
        assert!(!of("POST", "*") && !of("POST", "a:1") && !of("CONNECT", "a:1"));
        assert!(!of("POST", "ftp://a/in/a") && !of("POST", "http://b@a/in/a"));
    }

    #[test]
    fn fields_count_with_what_they_cost() {
        let many = |count: usize| {
            let fields = vec![("a", &b""[..]); count];
            status(Version::HTTP_2, "https://a/", &fields)
        };
        assert_eq!((many(28), many(29)), (200, 431), "by number");
        let long = |bytes: usize| status(Version::HTTP_2, "https://a/", &[("a", &vec![b'x'; bytes])]);
        assert_eq!((long(900), long(1_000)), (200, 431), "by size");
    }
}
