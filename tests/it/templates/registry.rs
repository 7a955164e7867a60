//! The registries that toolchains come from. A machine may lack the client, or the way to the registry.

use std::process::Stdio;

use floodgate_testkit::{Failure, Result};
use tokio::process::Command;

/// A registry with its ordinary client.
#[derive(Clone, Copy)]
pub(super) enum Registry {
    Npm,
    PyPi,
}

impl Registry {
    /// The client has to be there, and able to do its work.
    pub(super) async fn require_client(self) -> Result<()> {
        let (command, lacks): (&[&str], _) = match self {
            Self::Npm => (&["npm", "--version"], "no npm"),
            Self::PyPi => (&["python3", "-c", "import venv, ensurepip"], "no python3 with venv"),
        };
        if succeeds(command).await { Ok(()) } else { Err(Failure::missing(lacks)) }
    }

    /// A failure is the machine's only where the registry does not answer its client either.
    pub(super) async fn judge(self, failure: Failure) -> Failure {
        let (question, lacks): (&[&str], _) = match self {
            Self::Npm => (
                &["npm", "view", "@bytecodealliance/componentize-js", "name"],
                "the npm registry does not answer",
            ),
            Self::PyPi => (&["python3", "-m", "pip", "index", "versions", "ziglang"], "PyPI does not answer"),
        };
        let fetching = failure.to_string().contains("could not be fetched");
        if fetching && !succeeds(question).await { Failure::missing(lacks) } else { failure }
    }
}

async fn succeeds(command: &[&str]) -> bool {
    let mut child = Command::new(command[0]);
    child.args(&command[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    child.status().await.is_ok_and(|status| status.success())
}

/// Runs a test; where the machine lacks what it needs, says so aloud instead.
pub(super) async fn skipping<T>(name: &str, test: impl Future<Output = Result<T>>) -> Result<()> {
    match test.await {
        Err(failure) if failure.is_missing() => {
            eprintln!("SKIPPED: {name}: {failure}");
            Ok(())
        }
        result => result.map(drop),
    }
}
