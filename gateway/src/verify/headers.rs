//! Strict reading of what signatures are made of.

use http::HeaderMap;
use subtle::ConstantTimeEq as _;

use crate::accept::refusal::NotSigned;

/// The value of a header that must be there exactly once, and in visible ASCII:
/// of two lines it would be unclear which one counts.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, NotSigned> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Err(NotSigned::Missing(name)),
        (Some(value), None) => value.to_str().map_err(|_| NotSigned::Malformed(name)),
        (Some(_), Some(_)) => Err(NotSigned::Malformed(name)),
    }
}

/// Unix seconds in their only decimal form: digits, no sign, no leading zero.
pub(super) fn timestamp(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|c| c.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}

/// Refuses a signed time that is not recent enough. Both sides count: a time far ahead would stay valid for
/// as long.
pub(super) fn require_fresh(signed: u64, now: u64, tolerance: u64) -> Result<(), NotSigned> {
    if signed.abs_diff(now) <= tolerance {
        return Ok(());
    }
    // Differences beyond `i64` are of no other kind than those at its ends.
    let far = i64::try_from(signed.abs_diff(now)).unwrap_or(i64::MAX);
    Err(NotSigned::Stale { seconds: if signed < now { -far } else { far }, tolerance })
}

/// Compares texts in a time that only depends on their lengths.
pub(super) fn same(ours: &str, theirs: &str) -> bool {
    ours.as_bytes().ct_eq(theirs.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_off_says_by_how_much() {
        assert_eq!(require_fresh(1_000, 1_300, 300), Ok(()));
        let stale = |seconds| Err(NotSigned::Stale { seconds, tolerance: 300 });
        assert_eq!(require_fresh(1_000, 1_340, 300), stale(-340));
        assert_eq!(require_fresh(1_301, 1_000, 300), stale(301));
        assert_eq!(require_fresh(u64::MAX, 0, 300), stale(i64::MAX));
        assert_eq!(require_fresh(0, u64::MAX, 300), stale(-i64::MAX));
    }

    #[test]
    fn timestamps_have_one_form() {
        assert_eq!(timestamp("1614265330"), Some(1_614_265_330));
        for bad in ["", "+1", "-1", "01", "1 ", "1.0", "1e9", "1614265330abc", "99999999999999999999", "٣"] {
            assert_eq!(timestamp(bad), None, "{bad}");
        }
    }
}
