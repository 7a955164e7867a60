//! Strict reading of what signatures are made of.

use http::HeaderMap;
use subtle::ConstantTimeEq as _;

/// The value of a header that must be there exactly once, and in visible ASCII: of two lines it would be unclear
/// which one counts.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// Unix seconds in their only decimal form: digits, no sign, no leading zero.
pub(super) fn timestamp(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|c| c.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}

/// Whether a signed time is recent enough. Both sides count: a time far ahead would stay valid for as long.
pub(super) fn is_fresh(signed: u64, now: u64, tolerance: u64) -> bool {
    signed.abs_diff(now) <= tolerance
}

/// Compares texts in a time that only depends on their lengths.
pub(super) fn same(ours: &str, theirs: &str) -> bool {
    ours.as_bytes().ct_eq(theirs.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_have_one_form() {
        assert_eq!(timestamp("1614265330"), Some(1_614_265_330));
        for bad in ["", "+1", "-1", "01", "1 ", "1.0", "1e9", "1614265330abc", "99999999999999999999", "٣"] {
            assert_eq!(timestamp(bad), None, "{bad}");
        }
    }
}
