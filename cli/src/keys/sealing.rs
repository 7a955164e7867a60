//! Makes the key of a region or of the centre. Secrets are sealed to its public half.

use std::path::Path;

use floodgate_event::Secret;
use floodgate_event::seal::OpeningKey;

use super::store::{KeyError, KeyFiles};

pub(super) fn make(files: &mut KeyFiles, file: &Path) -> Result<(), KeyError> {
    let fresh = || Ok(Secret::new(format!("{}\n", OpeningKey::generate().to_text().expose())));
    let key = OpeningKey::parse(&files.line(file, fresh)?).map_err(|_| KeyError::Unusable {
        path: file.to_owned(),
        expected: "base64 of a private key of 32 bytes",
    })?;
    files.public(file, key.sealing_key())
}
