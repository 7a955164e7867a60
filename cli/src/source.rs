//! `floodgate source`: verifies requests that are saved in files, as a gateway would. It asks nobody and
//! changes nothing.

mod explain;
mod files;
mod guess;
mod saved;
mod test;
mod vectors;

use clap::Subcommand;

use crate::exit::Failure;

/// What to find out.
#[derive(Subcommand)]
pub(crate) enum SourceCommand {
    /// Verify a request, or a file of test vectors, and say which step fails; exit status 1 if the request is
    /// refused
    Test(Box<test::TestArgs>),
    /// Name the schemes that a request may be of, the most specific first; exit status 1 if there is none
    Guess(guess::GuessArgs),
}

/// Runs a subcommand.
///
/// # Errors
/// If a file cannot be used, or the answer is no.
pub(crate) fn run(command: &SourceCommand) -> Result<(), Failure> {
    match command {
        SourceCommand::Test(args) => test::run(args),
        SourceCommand::Guess(args) => guess::run(args),
    }
}
