//! Seals secrets to those who may read them, and opens the centre's own copies. Secrets are stored sealed
//! only.

use std::collections::BTreeMap;

use floodgate_event::seal::{OpeningKey, Owner, SealError, SealingKey};
use floodgate_event::{Name, Secret, snapshot};
use tokio::sync::watch;

use super::configuration::{self, Configuration, StoredSecret};
use super::region_keys::RegionKeys;

/// The centre's private key and every region's public one.
pub(crate) struct Vault {
    opening_key: OpeningKey,
    regions: RegionKeys,
}

/// Who reads a secret besides the centre.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Each region. For the secrets of sources.
    Regions,
    /// Nobody. For the secrets of destinations.
    None,
}

/// The owner that a source's secrets are sealed for.
pub(crate) fn source<'a>(tenant: &'a Name, name: &'a Name) -> Owner<'a> {
    Owner { tenant, kind: "source", name, field: snapshot::SECRETS }
}

/// The owner that a source's key for handlers is sealed for. `field` is [`snapshot::key_field`].
pub(crate) fn key<'a>(tenant: &'a Name, name: &'a Name, field: &'a str) -> Owner<'a> {
    Owner { tenant, kind: "source", name, field }
}

/// The owner that a destination's secrets are sealed for.
pub(crate) fn destination<'a>(tenant: &'a Name, name: &'a Name) -> Owner<'a> {
    Owner { tenant, kind: "destination", name, field: "secrets" }
}

impl Vault {
    pub(crate) fn new(opening_key: OpeningKey, regions: RegionKeys) -> Self {
        Self { opening_key, regions }
    }

    /// Changes whenever [`Self::must_reseal`] may have changed.
    pub(crate) fn key_changes(&self) -> watch::Receiver<BTreeMap<Name, SealingKey>> {
        self.regions.subscribe()
    }

    /// Opens the centre's copy of a secret.
    pub(crate) fn open(&self, stored: &StoredSecret, owner: Owner<'_>) -> Result<Secret, SealError> {
        self.opening_key.open(&stored.centre, owner)
    }

    /// Seals `given`, in order. A secret that is stored already keeps its id and its seals, so that the same
    /// document twice makes the same configuration. A stored one that no longer opens counts as another
    /// secret.
    pub(crate) fn keep_or_seal(
        &self,
        given: &[Secret],
        stored: &[StoredSecret],
        owner: Owner<'_>,
        readers: Readers,
    ) -> Result<Vec<StoredSecret>, SealError> {
        let opened: Vec<_> = stored.iter().map(|stored| (self.open(stored, owner).ok(), stored)).collect();
        let known =
            |secret| opened.iter().find(|(open, _)| open.as_ref() == Some(secret)).map(|(_, stored)| *stored);
        given
            .iter()
            .map(|secret| match known(secret) {
                Some(stored) => Ok(stored.clone()),
                None => self.seal(secret, owner, readers),
            })
            .collect()
    }

    /// As [`Self::keep_or_seal`], for the keys of handlers, each under its own name.
    pub(crate) fn keep_or_seal_keys(
        &self,
        given: &BTreeMap<Name, Secret>,
        stored: Option<&BTreeMap<Name, StoredSecret>>,
        tenant: &Name,
        source: &Name,
    ) -> Result<BTreeMap<Name, StoredSecret>, SealError> {
        let seal = |(name, secret): (&Name, &Secret)| {
            let field = snapshot::key_field(name);
            let owner = key(tenant, source, &field);
            let before = stored.and_then(|stored| stored.get(name));
            match before.filter(|before| self.open(before, owner).is_ok_and(|opened| opened == *secret)) {
                Some(before) => Ok((name.clone(), before.clone())),
                None => Ok((name.clone(), self.seal(secret, owner, Readers::Regions)?)),
            }
        };
        given.iter().map(seal).collect()
    }

    fn seal(&self, secret: &Secret, owner: Owner<'_>, readers: Readers) -> Result<StoredSecret, SealError> {
        let mut stored = StoredSecret {
            id: format!("sec_{:016x}", rand::random::<u64>()),
            centre: self.opening_key.sealing_key().seal(secret, owner)?,
            regions: BTreeMap::new(),
        };
        if readers == Readers::Regions {
            self.seal_to_missing_regions(&mut stored, owner)?;
        }
        Ok(stored)
    }

    /// Seals every source's secrets to the regions that cannot open them yet: new ones, and those with a new
    /// key. Returns the sources whose secrets the centre itself cannot open.
    pub(crate) fn reseal(&self, configuration: &mut Configuration) -> Vec<(Name, SealError)> {
        let resealed = configuration.sources.iter_mut().map(|(name, stored)| {
            let resealed = self.reseal_source(name, stored);
            resealed.map_err(|error| (name.clone(), error))
        });
        resealed.filter_map(Result::err).collect()
    }

    fn reseal_source(&self, name: &Name, stored: &mut configuration::Source) -> Result<(), SealError> {
        let owner = source(&stored.tenant, name);
        stored.secrets.iter_mut().try_for_each(|secret| self.seal_to_missing_regions(secret, owner))?;
        for (key, secret) in &mut stored.keys {
            let field = snapshot::key_field(key);
            self.seal_to_missing_regions(secret, self::key(&stored.tenant, name, &field))?;
        }
        Ok(())
    }

    /// Returns true if [`Self::reseal`] would change anything.
    pub(crate) fn must_reseal(&self, configuration: &Configuration) -> bool {
        let sources = configuration.sources.values();
        let mut secrets = sources.flat_map(|source| source.secrets.iter().chain(source.keys.values()));
        let keys = self.regions.now();
        secrets.any(|secret| missing(&keys, secret).next().is_some())
    }

    fn seal_to_missing_regions(&self, stored: &mut StoredSecret, owner: Owner<'_>) -> Result<(), SealError> {
        let keys = self.regions.now();
        let missing: Vec<_> = missing(&keys, stored).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let secret = self.open(stored, owner)?;
        for (region, key) in missing {
            stored.regions.insert(region.clone(), key.seal(&secret, owner)?);
        }
        Ok(())
    }
}

/// The regions that cannot open a secret, and their keys.
fn missing<'k>(
    keys: &'k BTreeMap<Name, SealingKey>,
    stored: &StoredSecret,
) -> impl Iterator<Item = (&'k Name, &'k SealingKey)> + use<'k> {
    let held: Vec<_> = keys
        .iter()
        .filter(|(region, key)| stored.regions.get(*region).is_none_or(|sealed| sealed.key != key.id()))
        .collect();
    held.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn vault(opening_key: &OpeningKey, regions: &[(&str, &OpeningKey)]) -> Vault {
        let regions = regions.iter().map(|(region, key)| (name(region), key.sealing_key().clone())).collect();
        Vault::new(opening_key.clone(), RegionKeys::new(regions))
    }

    #[test]
    fn the_same_secret_keeps_its_seals_and_another_gets_new_ones() {
        let (centre, eu) = (OpeningKey::generate(), OpeningKey::generate());
        let vault = vault(&centre, &[("eu", &eu)]);
        let (tenant, stripe) = (name("default"), name("stripe"));
        let owner = source(&tenant, &stripe);
        let (old, new) = (Secret::new("old"), Secret::new("new"));
        let first = vault.keep_or_seal(std::slice::from_ref(&old), &[], owner, Readers::Regions).unwrap();
        let second = vault.keep_or_seal(&[new.clone(), old], &first, owner, Readers::Regions).unwrap();
        assert_eq!(second[1], first[0]);
        assert_eq!(eu.open(&second[0].regions["eu"], owner).unwrap(), new);
    }

    #[test]
    fn a_new_region_and_a_new_key_are_sealed_to() {
        let (centre, eu, us) = (OpeningKey::generate(), OpeningKey::generate(), OpeningKey::generate());
        let (tenant, stripe) = (name("default"), name("stripe"));
        let owner = source(&tenant, &stripe);
        let secret = Secret::new("s");
        let mut stored = vault(&centre, &[("eu", &eu)]).seal(&secret, owner, Readers::Regions).unwrap();
        let renewed = OpeningKey::generate();
        let later = vault(&centre, &[("eu", &renewed), ("us", &us)]);
        assert_eq!(missing(&later.regions.now(), &stored).count(), 2);
        later.seal_to_missing_regions(&mut stored, owner).unwrap();
        assert_eq!(missing(&later.regions.now(), &stored).count(), 0);
        assert_eq!(renewed.open(&stored.regions["eu"], owner).unwrap(), secret);
        assert_eq!(us.open(&stored.regions["us"], owner).unwrap(), secret);
    }
}
