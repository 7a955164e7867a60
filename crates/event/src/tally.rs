//! Verdicts counted by source, as the header of a central message gives them.
//! Books fold it without opening blocks.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::Name;
use crate::proto::verdict::Kind;

/// How many events got which verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Delivered to whoever subscribed.
    pub stored: u64,
    /// Known already.
    pub duplicate: u64,
    /// Dropped by a handler.
    pub filtered: u64,
    /// Answered by a handler.
    pub responded: u64,
    /// Kept because a handler failed.
    pub quarantined: u64,
    /// In blocks that could not be decoded.
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

    /// Counts one verdict.
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

    /// All verdicts.
    pub fn total(&self) -> u64 {
        self.stored + self.duplicate + self.filtered + self.responded + self.quarantined + self.set_aside
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, mut other: Self) {
        for ((_, sum), (_, count)) in self.fields().into_iter().zip(other.fields()) {
            *sum += *count;
        }
    }
}

/// Tallies by source: `github=s3,d1;stripe=f1`. A count of zero is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tallies(pub BTreeMap<Name, Tally>);

impl Tallies {
    /// The tally of a source.
    pub fn of(&mut self, source: &Name) -> &mut Tally {
        self.0.entry(source.clone()).or_default()
    }

    /// Adds another's counts.
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

/// Not a list of tallies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a list of `source=` and counts like `s3,d1`, joined by `;`")]
pub struct InvalidTallies;

#[cfg(test)]
mod tests {
    use super::*;

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
