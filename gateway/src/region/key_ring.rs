//! The region's private keys: the one in its file, and the one before it.

use floodgate_event::Secret;
use floodgate_event::seal::{OpeningKey, Owner, SealError, Sealed};

/// The keys that open the region's secrets. The previous one is kept, because secrets stay sealed to it until
/// the next change of the configuration in the centre.
#[derive(Debug)]
pub(super) struct KeyRing {
    current: OpeningKey,
    before: Option<OpeningKey>,
}

impl KeyRing {
    pub(super) fn new(key: OpeningKey) -> Self {
        Self { current: key, before: None }
    }

    /// Takes a key into use. Returns true if it differs from the current one.
    pub(super) fn take(&mut self, key: OpeningKey) -> bool {
        if key.sealing_key() == self.current.sealing_key() {
            return false;
        }
        self.before = Some(std::mem::replace(&mut self.current, key));
        true
    }

    /// The key that is sealed to now.
    pub(super) fn current(&self) -> &OpeningKey {
        &self.current
    }

    /// Returns the key of this id, if the ring has it.
    pub(super) fn of_id(&self, id: &str) -> Option<&OpeningKey> {
        let mut keys = [&self.current].into_iter().chain(&self.before);
        keys.find(|key| key.sealing_key().id().to_string() == id)
    }

    pub(super) fn open(&self, sealed: &Sealed, owner: Owner<'_>) -> Result<Secret, SealError> {
        let opened = self.current.open(sealed, owner);
        match &self.before {
            Some(before) => opened.or_else(|error| before.open(sealed, owner).map_err(|_| error)),
            None => opened,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_and_the_one_before_open() {
        let keys = [(); 3].map(|()| OpeningKey::generate());
        let owner = Owner { tenant: "default", kind: "source", name: "a", field: "secrets" };
        let sealed = keys.each_ref().map(|key| key.sealing_key().seal(&Secret::new("s"), owner).unwrap());
        let [first, second, third] = keys;
        let mut ring = KeyRing::new(first.clone());
        assert!(!ring.take(first));
        assert!(ring.take(second) && ring.take(third));
        let opens = sealed.each_ref().map(|sealed| ring.open(sealed, owner).is_ok());
        assert_eq!(opens, [false, true, true]);
    }
}
