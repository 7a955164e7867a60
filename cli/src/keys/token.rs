//! Makes random tokens, such as bearer tokens and passwords.

use std::path::Path;

use floodgate_event::Secret;

use super::store::{KeyError, KeyFiles};

/// How many random bytes a token has. It has twice as many hex digits.
const BYTES: usize = 32;

pub(super) fn make(files: &mut KeyFiles, file: &Path) -> Result<(), KeyError> {
    let token = files.line(file, || Ok(random()))?;
    let checked = Secret::token_from_line(token.expose().into());
    checked.map(drop).map_err(|source| KeyError::Unfit { path: file.to_owned(), source })
}

fn random() -> Secret {
    let digits: String = rand::random::<[u8; BYTES]>().iter().map(|byte| format!("{byte:02x}")).collect();
    Secret::new(digits + "\n")
}
