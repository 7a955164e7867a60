//! The number of shards of a folder's deployment. It is fixed at the first run.

use floodgate_event::ShardCount;
use serde::Deserialize;

use crate::folder::{self, Folder};

/// The number if neither the folder nor the command says one.
const DEFAULT: ShardCount = ShardCount::ONE;
/// The configuration file that the last run wrote for the relay.
const FILE: &str = "config/relay.toml";

/// The part of that file that is read.
#[derive(Deserialize)]
struct RelayFile {
    shards: ShardCount,
}

/// Returns the number of the last run, or else the one that is asked for.
///
/// # Errors
/// If the two differ: events would be in shards that nobody reads.
pub(crate) fn choose(asked: Option<ShardCount>, folder: &Folder) -> Result<ShardCount, Error> {
    let text = folder.read(FILE)?;
    // An unreadable file is written again, and the relay itself knows the number.
    let kept = text.and_then(|text| toml::from_str::<RelayFile>(&text).ok()).map(|file| file.shards);
    match (asked, kept) {
        (Some(asked), Some(kept)) if asked != kept => {
            Err(Error::Differs { asked, kept, folder: folder.path("").display().to_string() })
        }
        (asked, kept) => Ok(kept.or(asked).unwrap_or(DEFAULT)),
    }
}

/// Why the number of shards is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The number differs from that of the first run.
    #[error(
        "--shards {asked}: the deployment in {folder} has {kept}, which stays; leave it out, or choose another --dir"
    )]
    Differs { asked: ShardCount, kept: ShardCount, folder: String },
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] folder::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_the_first_run_stays() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::open(temporary.path()).unwrap();
        let choose = |asked: Option<u32>| choose(asked.and_then(ShardCount::new), &folder);
        let chosen = |asked| choose(asked).unwrap().get();
        assert_eq!(chosen(None), 1);
        assert_eq!(chosen(Some(4)), 4);
        folder.write(FILE, b"relay = \"relay-1\"\nshards = 4\n").unwrap();
        assert_eq!(chosen(None), 4);
        assert_eq!(chosen(Some(4)), 4);
        let Err(refused @ Error::Differs { .. }) = choose(Some(2)) else { panic!("2 for 4") };
        assert!(refused.to_string().starts_with("--shards 2: the deployment in "), "{refused}");
        folder.write(FILE, b"no TOML").unwrap();
        assert_eq!(chosen(Some(2)), 2);
    }
}
