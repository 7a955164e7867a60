//! How many replicas `relay.toml` asks for.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use floodgate_event::Name;
use serde::Deserialize;

/// The numbers; none where the file says nothing.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Replicas {
    pub(super) centre: Option<usize>,
    regions: BTreeMap<String, usize>,
}

#[derive(Deserialize)]
struct File {
    centre: Option<Place>,
    #[serde(default)]
    regions: Vec<Place>,
}

#[derive(Deserialize)]
struct Place {
    name: Option<String>,
    replicas: Option<usize>,
}

impl Replicas {
    /// Of a file that the relay's own reading has found good.
    pub(super) fn read(path: &Path) -> Self {
        let file = fs::read_to_string(path).ok().and_then(|text| toml::from_str(&text).ok());
        file.map(Self::of_file).unwrap_or_default()
    }

    fn of_file(file: File) -> Self {
        let regions = file.regions.into_iter().filter_map(|place| Some((place.name?, place.replicas?)));
        Self { centre: file.centre.and_then(|centre| centre.replicas), regions: regions.collect() }
    }

    pub(super) fn of(&self, region: &Name) -> Option<usize> {
        self.regions.get(region.as_str()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_its_own() {
        let text =
            "[centre]\nreplicas = 3\n[[regions]]\nname = \"eu\"\nreplicas = 1\n[[regions]]\nname = \"us\"";
        let replicas = Replicas::of_file(toml::from_str(text).unwrap());
        assert_eq!(replicas.centre, Some(3));
        assert_eq!(replicas.of(&"eu".parse().unwrap()), Some(1));
        assert_eq!(replicas.of(&"us".parse().unwrap()), None);
    }
}
