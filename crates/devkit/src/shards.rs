//! How many shards the deployment of a folder has: as many as it began with.

use serde::Deserialize;

use crate::folder::{Folder, FolderError};

/// How many where neither the folder nor the command says it.
const DEFAULT: u32 = 1;
/// What the last run wrote for the relay.
const FILE: &str = "config/relay.toml";

/// What is read of it.
#[derive(Deserialize)]
struct RelayFile {
    shards: u32,
}

/// The number of the last run, else what is asked for.
///
/// # Errors
/// If another number is asked for: events would be in shards that nobody reads.
pub(crate) fn choose(asked: Option<u32>, folder: &Folder) -> Result<u32, ShardsError> {
    let text = folder.read(FILE)?;
    // What cannot be read is written anew, and the relay itself knows the number.
    let kept = text.and_then(|text| toml::from_str::<RelayFile>(&text).ok()).map(|file| file.shards);
    match (asked, kept) {
        (Some(asked), Some(kept)) if asked != kept => {
            Err(ShardsError::Differs { asked, kept, folder: folder.path("").display().to_string() })
        }
        (asked, kept) => Ok(kept.or(asked).unwrap_or(DEFAULT)),
    }
}

/// Why there is no number of shards.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShardsError {
    /// Another number than that of the first run.
    #[error(
        "--shards {asked}: the deployment in {folder} has {kept}, which stays; leave it out, or choose another --dir"
    )]
    Differs { asked: u32, kept: u32, folder: String },
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_the_first_run_stays() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::open(temporary.path()).unwrap();
        assert_eq!(choose(None, &folder).unwrap(), 1);
        assert_eq!(choose(Some(4), &folder).unwrap(), 4);
        folder.write(FILE, b"relay = \"relay-1\"\nshards = 4\n").unwrap();
        assert_eq!(choose(None, &folder).unwrap(), 4);
        assert_eq!(choose(Some(4), &folder).unwrap(), 4);
        let Err(refused @ ShardsError::Differs { .. }) = choose(Some(2), &folder) else { panic!("2 for 4") };
        assert!(refused.to_string().starts_with("--shards 2: the deployment in "), "{refused}");
        folder.write(FILE, b"no TOML").unwrap();
        assert_eq!(choose(Some(2), &folder).unwrap(), 2);
    }
}
