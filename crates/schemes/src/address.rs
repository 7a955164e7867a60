//! The addresses where providers publish keys. Whoever sends a request chooses the address in it, so the
//! address must match, as text, the one form that the provider uses. Nothing is parsed or normalised first:
//! userinfo, ports, fragments, upper case, escapes and other alphabets do not match because the form has none
//! of them.

#[cfg(test)]
mod tests;

use url::Url;

use crate::InvalidSettings;

/// The longest part of an address that changes from one key to the next, in bytes.
const MAX_ID: usize = 64;
/// The longest query of an address that confirms a subscription, in bytes. The longest topic takes half of
/// it.
const MAX_QUERY: usize = 2_048;
/// The longest address that an operator may set, in bytes.
const MAX_SET: usize = 2_048;
/// The hosts of PayPal's REST API and of its sandbox.
const PAYPAL: [&str; 2] = ["https://api.paypal.com", "https://api.sandbox.paypal.com"];
/// Plaid's endpoint for keys.
pub(crate) const PLAID_PRODUCTION: &str = "https://production.plaid.com/webhook_verification_key/get";
/// The endpoint for keys of Plaid's sandbox.
pub(crate) const PLAID_SANDBOX: &str = "https://sandbox.plaid.com/webhook_verification_key/get";

/// Returns true if Amazon SNS publishes certificates at this address:
/// `https://sns.<region>.amazonaws.com[.cn]/SimpleNotificationService-<hex>.pem`, or with `amazonaws.eu` for
/// a region of the European Sovereign Cloud.
pub(crate) fn is_sns_certificate(url: &str) -> bool {
    let file = path_of_sns(url).and_then(|path| path.strip_prefix("/SimpleNotificationService-"));
    let id = file.and_then(|file| file.strip_suffix(".pem"));
    id.is_some_and(|id| is_id(id, |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
}

/// Returns true if fetching this address confirms a subscription at Amazon SNS:
/// `https://sns.<region>.amazonaws.com[.cn]/?…`, or with `amazonaws.eu` as above.
pub(crate) fn is_sns_subscription(url: &str) -> bool {
    let query = path_of_sns(url).and_then(|path| path.strip_prefix("/?"));
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:=&%".contains(&byte);
    query.is_some_and(|query| query.len() <= MAX_QUERY && query.bytes().all(is_plain))
}

/// Returns the part of an address after a host of Amazon SNS, or `None` for any other host.
fn path_of_sns(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://sns.")?;
    let (host, path) = rest.split_at(rest.find('/')?);
    let region = match host.strip_suffix(".amazonaws.eu") {
        Some(region) => Some(region).filter(|region| is_sovereign(region)),
        None => host.strip_suffix(".cn").unwrap_or(host).strip_suffix(".amazonaws.com"),
    };
    is_region(region?).then_some(path)
}

/// Returns true for names of regions in the AWS European Sovereign Cloud, such as `eusc-de-east-1`. Only they
/// are below `amazonaws.eu`.
pub(crate) fn is_sovereign(region: &str) -> bool {
    region.starts_with("eusc-")
}

/// Returns true for names such as `us-west-2` and `us-gov-east-1`: letters, more letters, a number. If any
/// label were a region, `s3` and `s3-us-west-2` would be too, and at those hosts `sns` is the name of
/// somebody's bucket.
fn is_region(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').take(5).collect();
    let letters =
        |part: &&str| (2..=12).contains(&part.len()) && part.bytes().all(|c| c.is_ascii_lowercase());
    match parts.as_slice() {
        [first, middle @ .., number] if (1..=2).contains(&middle.len()) => {
            let is_number = matches!(number.len(), 1 | 2) && number.bytes().all(|c| c.is_ascii_digit());
            letters(first) && middle.iter().all(letters) && is_number
        }
        _ => false,
    }
}

/// Returns true if PayPal publishes certificates at this address:
/// `https://api.paypal.com/v1/notifications/certs/CERT-<id>`.
pub(crate) fn is_paypal_certificate(url: &str) -> bool {
    let mut paths = PAYPAL.iter().filter_map(|host| url.strip_prefix(host));
    let id = paths.find_map(|path| path.strip_prefix("/v1/notifications/certs/CERT-"));
    id.is_some_and(|id| is_id(id, |byte| byte.is_ascii_alphanumeric() || byte == b'-'))
}

/// Returns the address that stands for one of Plaid's keys. The endpoint expects a POST that names the key.
/// The address names the key in its fragment, which is never sent.
pub(crate) fn plaid_key(endpoint: &str, id: &str) -> String {
    format!("{endpoint}#{id}")
}

/// Returns true if a text can be the id of one of Plaid's keys. These ids are UUIDs.
pub(crate) fn is_plaid_key(id: &str) -> bool {
    is_id(id, |byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_id(id: &str, is_allowed: impl Fn(u8) -> bool) -> bool {
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(is_allowed)
}

/// Checks an address that an operator set.
///
/// # Errors
/// If it is not a plain address with `https`. The error says what is wrong.
pub(crate) fn require_plain(setting: &'static str, url: &str) -> Result<(), InvalidSettings> {
    let wrong = |why: String| Err(InvalidSettings::Setting { setting, why });
    let Ok(parsed) = Url::parse(url) else { return wrong("not a URL".to_owned()) };
    let has_user = !parsed.username().is_empty() || parsed.password().is_some();
    match () {
        () if url.len() > MAX_SET => wrong(format!("at most {MAX_SET} bytes")),
        () if parsed.scheme() != "https" => wrong("only https: whoever changes a key can sign".to_owned()),
        () if has_user => wrong("leave out user and password".to_owned()),
        () if parsed.fragment().is_some() => wrong("leave out the fragment".to_owned()),
        () if parsed.as_str() != url => wrong(format!("write it as `{parsed}`")),
        () => Ok(()),
    }
}
