//! Makes the key of a NATS user. Whoever has the seed can connect as that user. Servers know only the public
//! half.

use std::path::Path;

use floodgate_event::Secret;
use nkeys::KeyPair;

use super::store::{KeyError, KeyFiles};

pub(super) fn make(files: &mut KeyFiles, file: &Path) -> Result<(), KeyError> {
    let seed = files.line(file, || Ok(Secret::new(KeyPair::new_user().seed()? + "\n")))?;
    let public = KeyPair::from_seed(seed.expose()).map(|pair| pair.public_key());
    match public {
        Ok(public) if public.starts_with('U') => files.public(file, public),
        Ok(_) | Err(_) => {
            Err(KeyError::Unusable { path: file.to_owned(), expected: "the seed of a user's nkey (SU…)" })
        }
    }
}
