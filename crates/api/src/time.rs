//! Times as the admin API writes them.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Writes a Unix time in microseconds as [RFC 3339](https://www.rfc-editor.org/rfc/rfc3339) text. Empty past
/// the year 9999.
pub fn rfc3339(unix_micros: u64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_micros) * 1_000)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default()
}

/// Reads an RFC 3339 text as a Unix time in microseconds. None if it is none, or before 1970.
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(at.unix_timestamp_nanos() / 1_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_it_is_written() {
        let text = rfc3339(1_700_000_000_000_001);
        assert_eq!(parse_rfc3339(&text), Some(1_700_000_000_000_001), "{text}");
        assert_eq!(parse_rfc3339("2023-11-14T23:13:20+01:00"), Some(1_700_000_000_000_000));
        assert!(["", "yesterday", "1969-01-01T00:00:00Z"].iter().all(|bad| parse_rfc3339(bad).is_none()));
    }
}
