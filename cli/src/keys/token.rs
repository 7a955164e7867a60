//! Random tokens: bearer tokens, passwords.

use std::path::Path;

use floodgate_event::Secret;

use super::kept::{Kept, KeyError};

/// Random bytes in a token; twice as many hex digits.
const BYTES: usize = 32;

pub(super) fn make(kept: &mut Kept, file: &Path) -> Result<(), KeyError> {
    kept.secret(file, || Ok(random())).map(drop)
}

fn random() -> Secret {
    let digits: String = rand::random::<[u8; BYTES]>().iter().map(|byte| format!("{byte:02x}")).collect();
    Secret::new(digits + "\n")
}
