//! A NATS user's key: who holds the seed can connect as that user, and servers know only the public half.

use std::path::Path;

use floodgate_event::Secret;
use nkeys::KeyPair;

use super::kept::{Kept, KeyError};

pub(super) fn make(kept: &mut Kept, file: &Path) -> Result<(), KeyError> {
    let seed = kept.line(file, || Ok(Secret::new(KeyPair::new_user().seed()? + "\n")))?;
    let public = KeyPair::from_seed(seed.expose()).map(|pair| pair.public_key());
    match public {
        Ok(public) if public.starts_with('U') => kept.public(file, public),
        Ok(_) | Err(_) => {
            Err(KeyError::Unusable { path: file.to_owned(), expected: "the seed of a user's nkey (SU…)" })
        }
    }
}
