//! The regions of a deployment on this machine.

use floodgate_event::Name;

/// The most regions. The fixed ports have no room for more.
pub(crate) const MAX: usize = 9;

/// The regions: at least one, at most [`MAX`], each once.
#[derive(Debug)]
pub(crate) struct Regions(Vec<Name>);

impl Regions {
    /// Checks that the names make a set of regions.
    pub(crate) fn new(names: Vec<Name>) -> Result<Self, Error> {
        if names.is_empty() || names.len() > MAX {
            return Err(Error::Count(names.len()));
        }
        for (index, name) in names.iter().enumerate() {
            if names[..index].contains(name) {
                return Err(Error::Twice(name.clone()));
            }
            if name.as_str() == "centre" {
                return Err(Error::Centre);
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
pub(crate) enum Error {
    /// There are none, or too many.
    #[error("--regions: {0} regions named, and 1 to {MAX} can be run on one machine")]
    Count(usize),
    #[error("--regions: `{0}` is named twice")]
    Twice(Name),
    /// One has the name of the centre.
    #[error("--regions: `centre` is what the centre is called; name the region otherwise")]
    Centre,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regions(names: &str) -> Result<Regions, Error> {
        Regions::new(names.split_terminator(',').map(|name| name.parse().unwrap()).collect())
    }

    #[test]
    fn names_must_tell_regions_apart() {
        assert!(regions("eu,us").is_ok());
        assert_eq!(regions("").unwrap_err(), Error::Count(0));
        assert_eq!(regions("a,b,c,d,e,f,g,h,i,j").unwrap_err(), Error::Count(10));
        assert_eq!(regions("eu,us,eu").unwrap_err(), Error::Twice("eu".parse().unwrap()));
        assert_eq!(regions("centre").unwrap_err(), Error::Centre);
    }
}
