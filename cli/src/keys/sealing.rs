//! The key of a region or of the centre: secrets are sealed to its public half.

use std::path::Path;

use floodgate_event::Secret;
use floodgate_event::seal::OpeningKey;

use super::kept::{Kept, KeyError};

pub(super) fn make(kept: &mut Kept, file: &Path) -> Result<(), KeyError> {
    let fresh = || Ok(Secret::new(format!("{}\n", OpeningKey::generate().to_text().expose())));
    let key = OpeningKey::parse(&kept.line(file, fresh)?).map_err(|_| KeyError::Unusable {
        path: file.to_owned(),
        expected: "base64 of a private key of 32 bytes",
    })?;
    kept.public(file, key.sealing_key())
}
