//! Verdicts counted by source, in the form of the header of a central message. The books add them up without
//! decoding blocks.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::Name;
use crate::proto::verdict::Kind;

/// How many events got each verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events that are stored, to be delivered to the destinations that match.
    pub stored: u64,
    /// Events that were stored before.
    pub duplicate: u64,
    /// Events that a handler dropped.
    pub filtered: u64,
    /// Events that a handler answered.
    pub responded: u64,
    /// Events that are kept because a handler failed on them.
    pub quarantined: u64,
    /// Events in blocks that could not be decoded.
    pub set_aside: u64,
}

impl Tally {
    /// The letter of each count in the header.
    fn fields(&mut self) -> [(char, &mut u64); 6] {
        [
            ('s', &mut self.stored),
            ('d', &mut self.duplicate),
            ('f', &mut self.filtered),
            ('r', &mut self.responded),
            ('q', &mut self.quarantined),
            ('a', &mut self.set_aside),
        ]
    }

    /// Adds one event with this verdict.
    pub fn count(&mut self, kind: Kind) {
        match kind {
            Kind::Stored => self.stored += 1,
            Kind::Duplicate => self.duplicate += 1,
            Kind::Filtered => self.filtered += 1,
            Kind::Responded => self.responded += 1,
            Kind::Quarantined => self.quarantined += 1,
            Kind::Unspecified => {}
        }
    }

    /// Returns the number of events of all verdicts.
    pub fn total(&self) -> u64 {
        let Self { stored, duplicate, filtered, responded, quarantined, set_aside } = *self;
        sum([stored, duplicate, filtered, responded, quarantined, set_aside])
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, mut other: Self) {
        for ((_, total), (_, count)) in self.fields().into_iter().zip(other.fields()) {
            add(total, *count);
        }
    }
}

/// Adds to a total. A total that is full stays so: counts come from the headers of messages, which whoever
/// holds a gateway's key can write, and no header may end whoever adds them up.
pub fn add(total: &mut u64, count: u64) {
    *total = total.saturating_add(count);
}

/// Returns the sum of counts, by the rule of [`add`].
pub fn sum(counts: impl IntoIterator<Item = u64>) -> u64 {
    counts.into_iter().fold(0, u64::saturating_add)
}

/// Tallies by source, such as `github=s3,d1;stripe=f1`. A count of zero is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tallies(pub BTreeMap<Name, Tally>);

impl Tallies {
    /// Returns the tally of a source, which is zero if it was not counted before.
    pub fn of(&mut self, source: &Name) -> &mut Tally {
        self.0.entry(source.clone()).or_default()
    }

    /// Adds the counts of other tallies, source by source.
    pub fn add(&mut self, other: &Self) {
        for (source, tally) in &other.0 {
            *self.of(source) += *tally;
        }
    }
}

impl fmt::Display for Tallies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources = self.0.iter().map(|(source, tally)| {
            let mut tally = *tally;
            let counts = tally.fields().into_iter().filter(|(_, count)| **count > 0);
            let counts: Vec<String> = counts.map(|(letter, count)| format!("{letter}{count}")).collect();
            format!("{source}={}", counts.join(","))
        });
        f.write_str(&sources.collect::<Vec<_>>().join(";"))
    }
}

impl FromStr for Tallies {
    type Err = InvalidTallies;

    fn from_str(text: &str) -> Result<Self, InvalidTallies> {
        let mut tallies = Self::default();
        for part in text.split(';').filter(|part| !part.is_empty()) {
            let (source, counts) = part.split_once('=').ok_or(InvalidTallies)?;
            let source: Name = source.parse().map_err(|_| InvalidTallies)?;
            let tally = tallies.of(&source);
            for count in counts.split(',').filter(|count| !count.is_empty()) {
                let mut chars = count.chars();
                let letter = chars.next().ok_or(InvalidTallies)?;
                let number: u64 = chars.as_str().parse().map_err(|_| InvalidTallies)?;
                let field = tally.fields().into_iter().find(|(known, _)| *known == letter);
                *field.ok_or(InvalidTallies)?.1 = number;
            }
        }
        Ok(tallies)
    }
}

/// A header value that is not a list of tallies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a list of `source=` and counts like `s3,d1`, joined by `;`")]
pub struct InvalidTallies;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_that_are_full_stay_so() {
        let full = Tally { stored: u64::MAX, set_aside: u64::MAX, ..Tally::default() };
        let mut sum = full;
        sum += full;
        assert_eq!((sum, sum.total()), (full, u64::MAX));
    }

    #[test]
    fn text_form_round_trips() {
        let mut tallies = Tallies::default();
        *tallies.of(&"github".parse().unwrap()) = Tally { stored: 3, duplicate: 1, ..Tally::default() };
        *tallies.of(&"stripe".parse().unwrap()) = Tally { filtered: 12, set_aside: 2, ..Tally::default() };
        assert_eq!(tallies.to_string(), "github=s3,d1;stripe=f12,a2");
        assert_eq!(tallies.to_string().parse(), Ok(tallies));
        for bad in ["github", "github=x1", "github=s", "=s1", "github=s-1"] {
            assert!(bad.parse::<Tallies>().is_err(), "{bad}");
        }
    }
}
