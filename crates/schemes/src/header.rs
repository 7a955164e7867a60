//! Reads headers strictly.

use http::HeaderMap;
use subtle::ConstantTimeEq as _;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::Failure;

/// Reads a header that must occur exactly once, in visible ASCII. With two of them it would be unclear which
/// one counts.
///
/// # Errors
/// If the header is missing, occurs more than once, or has other characters.
pub fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Failure> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Err(Failure::missing(name.to_owned())),
        (Some(value), None) => {
            value.to_str().map_err(|_| Failure::malformed(name.to_owned(), "visible ASCII"))
        }
        (Some(_), Some(_)) => Err(Failure::malformed(name.to_owned(), "one such header")),
    }
}

/// Reads a number in its only decimal form: digits, no sign, no leading zero.
pub(crate) fn number(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|c| c.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}

/// Parses a time of [RFC 3339](https://www.rfc-editor.org/rfc/rfc3339). Returns Unix seconds, or `None` for a
/// time before 1970.
pub(crate) fn rfc3339(text: &str) -> Option<u64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    time.unix_timestamp().try_into().ok()
}

/// Refuses a signed time that is too far from now, in either direction. A request with a time far ahead could
/// be repeated until then.
pub(crate) fn require_fresh(signed: u64, now: u64, tolerance: u64) -> Result<(), Failure> {
    if signed.abs_diff(now) <= tolerance {
        return Ok(());
    }
    // Differences beyond `i64` are treated as those at its ends.
    let far = i64::try_from(signed.abs_diff(now)).unwrap_or(i64::MAX);
    Err(Failure::Stale { seconds: if signed < now { -far } else { far }, tolerance })
}

/// The same for a time that may have a fraction of a second, and is `ahead` of now by so many seconds. The
/// failure rounds up, so that it never says that what is allowed is too much.
pub(crate) fn require_near(ahead: f64, tolerance: u64) -> Result<(), Failure> {
    if ahead.abs() <= tolerance as f64 {
        return Ok(());
    }
    let seconds = ahead.abs().ceil().copysign(ahead) as i64;
    Err(Failure::Stale { seconds, tolerance })
}

/// Returns true if both are equal. The time that it takes depends only on their lengths.
pub(crate) fn same(ours: &[u8], theirs: &[u8]) -> bool {
    ours.ct_eq(theirs).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_off_says_by_how_much() {
        assert_eq!(require_fresh(1_000, 1_300, 300), Ok(()));
        let stale = |seconds| Err(Failure::Stale { seconds, tolerance: 300 });
        assert_eq!(require_fresh(1_000, 1_340, 300), stale(-340));
        assert_eq!(require_fresh(1_301, 1_000, 300), stale(301));
        assert_eq!(require_fresh(u64::MAX, 0, 300), stale(i64::MAX));
        assert_eq!(require_fresh(0, u64::MAX, 300), stale(-i64::MAX));
    }

    #[test]
    fn a_fraction_of_a_second_is_too_much() {
        let stale = |seconds| Err(Failure::Stale { seconds, tolerance: 300 });
        for near in [300.0, -300.0, 299.9] {
            assert_eq!(require_near(near, 300), Ok(()));
        }
        assert_eq!(require_near(300.001, 300), stale(301));
        assert_eq!(require_near(-300.9, 300), stale(-301));
        assert_eq!(require_near(f64::INFINITY, 300), stale(i64::MAX));
        assert!(require_near(f64::NAN, 300).is_err());
    }

    #[test]
    fn a_time_of_rfc_3339_is_read() {
        assert_eq!(rfc3339("2016-10-05T14:57:40Z"), Some(1_475_679_460));
        assert_eq!(rfc3339("2016-10-05T16:57:40.999+02:00"), Some(1_475_679_460));
        for bad in ["", "2016-10-05", "2016-10-05T14:57:40", "1475679460", "1969-12-31T23:59:59Z"] {
            assert_eq!(rfc3339(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers_have_one_form() {
        assert_eq!(number("1614265330"), Some(1_614_265_330));
        for bad in ["", "+1", "-1", "01", "1 ", "1.0", "1e9", "1614265330abc", "99999999999999999999", "٣"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }
}
