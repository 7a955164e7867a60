//! Reads the validity of a certificate from its DER. It is the only field of X.509 that is needed (RFC 5280,
//! 4.1).

use time::{Date, Month, OffsetDateTime, Time};

use super::finding::{Advice, Findings, State};

/// With fewer days left, a certificate is wrong, or a warning to renew it.
const WRONG_DAYS: i64 = 7;
const WARN_DAYS: i64 = 30;

/// The tags of the DER values that are read.
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The first and the last moment at which a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) from: OffsetDateTime,
    pub(super) until: OffsetDateTime,
}

/// Reads the validity. None if the bytes are not a certificate.
pub(super) fn validity(der: &[u8]) -> Option<Validity> {
    let mut certificate = Reader(Reader(der).expect(SEQUENCE)?);
    let mut signed = Reader(certificate.expect(SEQUENCE)?);
    let (tag, _) = signed.next()?;
    if tag == VERSION {
        signed.next()?; // the serial number, which comes first where the version is left out
    }
    signed.next()?; // the signature's algorithm
    signed.next()?; // the issuer
    let mut validity = Reader(signed.expect(SEQUENCE)?);
    Some(Validity { from: instant(validity.next()?)?, until: instant(validity.next()?)? })
}

/// Judges a certificate by what is left of it, and says when it expires.
fn judge(validity: Validity, now: OffsetDateTime) -> (State, String) {
    if validity.from > now {
        return (State::Wrong, format!("not valid before {}", validity.from.date()));
    }
    let (left, end) = ((validity.until - now).whole_days(), validity.until.date());
    match left {
        _ if validity.until <= now => (State::Wrong, format!("expired on {end}")),
        ..WRONG_DAYS => (State::Wrong, format!("ends on {end}, in {left} days")),
        WRONG_DAYS..WARN_DAYS => (State::Warning, format!("ends on {end}, in {left} days")),
        _ => (State::Ok, format!("ends on {end}, in {left} days")),
    }
}

/// Adds a certificate's finding. `remedy` is how to renew it.
pub(super) fn add(subject: String, validity: Validity, remedy: &str, findings: &mut Findings) {
    let (state, found) = judge(validity, OffsetDateTime::now_utc());
    let advice = Advice("Nobody connects to an expired certificate.", remedy);
    findings.add_judged(state, "certificate", subject, found, advice);
}

/// The values of a sequence, one after the other.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, value))
    }

    fn expect(&mut self, wanted: u8) -> Option<&'a [u8]> {
        self.next().filter(|(tag, _)| *tag == wanted).map(|(_, value)| value)
    }
}

/// `YYMMDDhhmmssZ` from 1950 to 2049, or `YYYYMMDDhhmmssZ`.
fn instant((tag, text): (u8, &[u8])) -> Option<OffsetDateTime> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let year: i32 = text.get(..2)?.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, text.get(2..)?)
        }
        GENERALIZED_TIME => (text.get(..4)?.parse().ok()?, text.get(4..)?),
        _ => return None,
    };
    let two = |at: usize| rest.get(at..at + 2)?.parse::<u8>().ok();
    let date = Date::from_calendar_date(year, Month::try_from(two(0)?).ok()?, two(2)?).ok()?;
    Some(date.with_time(Time::from_hms(two(4)?, two(6)?, two(8)?).ok()?).assume_utc())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use time::Duration;

    use super::*;

    fn made(from: OffsetDateTime, until: OffsetDateTime) -> Option<Validity> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (from, until);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        validity(certificate.der())
    }

    #[test]
    fn both_forms_of_time_are_read() {
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        // 2024-02-29 12:34:56; 2031-01-02 03:04:05 and 2075-12-31 23:59:59, which UTCTime cannot say.
        let from = at(1709210096);
        for until in [at(1925089445), at(3345062399)] {
            assert_eq!(made(from, until), Some(Validity { from, until }));
        }
    }

    #[test]
    fn what_is_no_certificate_is_none() {
        for garbage in [&b""[..], b"0", &[0x30, 0x83, 0xff, 0xff, 0xff], &[0x30, 0x02, 0x30, 0x00]] {
            assert_eq!(validity(garbage), None);
        }
    }

    #[test]
    fn a_certificate_is_judged_by_what_is_left_of_it() {
        let now = OffsetDateTime::now_utc();
        let state = |from: i64, until: i64| {
            judge(Validity { from: now + Duration::days(from), until: now + Duration::days(until) }, now).0
        };
        assert_eq!(state(-1, 90), State::Ok);
        assert_eq!(state(-1, 29), State::Warning);
        assert_eq!([state(-1, 6), state(-9, -1), state(1, 90)], [State::Wrong; 3]);
    }
}
