//! Finds the nats-server program and checks that it is new enough.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::trust::{self, Untrusted};

/// The oldest version that has everything that the streams need. `make setup` fetches the same.
const OLDEST: Version = Version(2, 15, 1);
/// The environment variable that names the program. If it is set, nothing else is tried.
const VARIABLE: &str = "FLOODGATE_NATS_SERVER";
/// Where `make setup` puts the program, in the project's folder.
const FETCHED: &str = ".tools/nats-server";

/// Finds the program: the one that `FLOODGATE_NATS_SERVER` names, or else what `make setup` fetched, or else
/// the one on the PATH.
pub(crate) fn find() -> Result<PathBuf, Error> {
    let mut refused = None;
    for candidate in candidates() {
        match candidate.check() {
            Ok(()) => return Ok(candidate.program),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Err(refused.unwrap_or(Error::Missing))
}

/// A program that was found.
struct Candidate {
    program: PathBuf,
    /// True if it was found in a folder above the current one, where anybody may have put it.
    by_place: bool,
}

impl Candidate {
    fn check(&self) -> Result<(), Error> {
        if self.by_place {
            trust::check_program(&self.program)?;
        }
        check(&self.program)
    }
}

fn candidates() -> Vec<Candidate> {
    if let Some(named) = env::var_os(VARIABLE) {
        return vec![Candidate { program: named.into(), by_place: false }];
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).map(|folder| (folder.join("nats-server"), false));
    let near = [env::current_dir(), env::current_exe()];
    let fetched =
        near.iter().flatten().flat_map(|place| place.ancestors()).map(|folder| (folder.join(FETCHED), true));
    let all = fetched.chain(on_path).map(|(program, by_place)| Candidate { program, by_place });
    all.filter(|candidate| candidate.program.is_file()).collect()
}

fn check(program: &Path) -> Result<(), Error> {
    let output = Command::new(program).arg("--version").output();
    let output = output.map_err(|source| Error::Run { program: program.to_owned(), source })?;
    let said = String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned();
    match Version::parse(&said) {
        Some(version) if version >= OLDEST => Ok(()),
        _ => Err(Error::Old { program: program.to_owned(), said }),
    }
}

/// Returns true if a version that a server reports of itself, such as `2.15.1`, is new enough for the
/// streams.
pub fn is_new_enough(version: &str) -> bool {
    Version::parse(&format!("v{version}")).is_some_and(|version| version >= OLDEST)
}

/// The oldest version that is new enough, such as `2.15.1`.
pub fn oldest() -> String {
    format!("{}.{}.{}", OLDEST.0, OLDEST.1, OLDEST.2)
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32, u32);

impl Version {
    /// Reads `nats-server: v2.15.1`. A version with a suffix such as `-RC.1` is older than the one without
    /// it, and is refused.
    fn parse(said: &str) -> Option<Self> {
        let (_, version) = said.rsplit_once('v')?;
        let mut parts = version.splitn(3, '.').map(|part| part.parse().ok());
        Some(Self(parts.next()??, parts.next()??, parts.next()??))
    }
}

/// Why there is no usable nats-server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is none on the PATH, nor where `make setup` puts it.
    #[error("no nats-server found: run `make setup`, put one on the PATH, or name one in {VARIABLE}")]
    Missing,
    /// One was found that is not run, because another user may have put it there.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// It cannot be run.
    #[error("cannot run {}: run `make setup`, or name another in {VARIABLE}", program.display())]
    Run { program: PathBuf, source: io::Error },
    /// It is too old, or not nats-server.
    #[error(
        "{} is `{said}`, and at least v{}.{}.{} is needed: run `make setup`, or name another in {VARIABLE}",
        program.display(), OLDEST.0, OLDEST.1, OLDEST.2
    )]
    Old {
        program: PathBuf,
        /// What it printed about itself.
        said: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        let new_enough = |said| Version::parse(said).is_some_and(|version| version >= OLDEST);
        assert!(new_enough("nats-server: v2.15.1"));
        assert!(new_enough("nats-server: v2.100.0"));
        for old in ["nats-server: v2.9.10", "nats-server: v2.15.0", "nats-server: v2.15.1-RC.1", "", "v2"] {
            assert!(!new_enough(old), "{old}");
        }
    }
}
