//! Which regions a deployment on this machine has.

use floodgate_event::Name;

/// The most regions: as many as the fixed ports leave room for.
pub(crate) const MAX: usize = 9;

/// At least one region, at most [`MAX`], none twice.
#[derive(Debug)]
pub(crate) struct Regions(Vec<Name>);

impl Regions {
    /// Checks the names.
    pub(crate) fn new(names: Vec<Name>) -> Result<Self, InvalidRegions> {
        if names.is_empty() || names.len() > MAX {
            return Err(InvalidRegions::Count(names.len()));
        }
        for (index, name) in names.iter().enumerate() {
            if names[..index].contains(name) {
                return Err(InvalidRegions::Twice(name.clone()));
            }
            if name.as_str() == "centre" {
                return Err(InvalidRegions::Centre);
            }
        }
        Ok(Self(names))
    }

    /// The regions, in the order in which they were named.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Name> {
        self.0.iter()
    }
}

/// Not a set of regions.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidRegions {
    /// None, or too many.
    #[error("--regions: {0} regions named, and 1 to {MAX} can be run on one machine")]
    Count(usize),
    /// Named twice.
    #[error("--regions: `{0}` is named twice")]
    Twice(Name),
    /// The centre's own name.
    #[error("--regions: `centre` is what the centre is called; name the region otherwise")]
    Centre,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regions(names: &str) -> Result<Regions, InvalidRegions> {
        Regions::new(names.split_terminator(',').map(|name| name.parse().unwrap()).collect())
    }

    #[test]
    fn names_must_tell_regions_apart() {
        assert!(regions("eu,us").is_ok());
        assert_eq!(regions("").unwrap_err(), InvalidRegions::Count(0));
        assert_eq!(regions("a,b,c,d,e,f,g,h,i,j").unwrap_err(), InvalidRegions::Count(10));
        assert_eq!(regions("eu,us,eu").unwrap_err(), InvalidRegions::Twice("eu".parse().unwrap()));
        assert_eq!(regions("centre").unwrap_err(), InvalidRegions::Centre);
    }
}
