//! `floodgate handler`: write, build, test and upload handlers.

mod bench;
mod build;
mod check;
mod fixture;
mod language;
mod list;
mod new;
mod outcome;
mod project;
mod push;
mod template;
mod test;
mod trial;

use clap::{Args, Subcommand};

use crate::exit::Failure;

/// Write, build, test and upload handlers.
#[derive(Args)]
pub(crate) struct HandlerArgs {
    #[command(subcommand)]
    command: HandlerCommand,
}

#[derive(Subcommand)]
enum HandlerCommand {
    /// Begin a handler in Rust, JavaScript, Python or C
    New(new::NewArgs),
    /// Build a handler's component
    Build(build::BuildArgs),
    /// Build a handler and run its fixtures under the gateway's own engine and the handler's limits
    Test(test::TestArgs),
    /// Build a handler and measure what an event costs, fixture by fixture
    Bench(bench::BenchArgs),
    /// Upload a handler; a folder is built first, and refused if its fixtures fail
    Push(push::PushArgs),
    /// List the handlers that are uploaded
    List(list::ListArgs),
    /// Check a component within limits of time and memory, and say so as JSON
    #[command(hide = true)]
    Check(check::CheckArgs),
}

/// Runs a subcommand.
///
/// # Errors
/// If what is asked makes no sense, or does not work.
pub(crate) async fn run(args: HandlerArgs) -> Result<(), Failure> {
    match args.command {
        HandlerCommand::New(args) => new::run(&args),
        HandlerCommand::Build(args) => build::run(&args),
        HandlerCommand::Test(args) => test::run(&args).await,
        HandlerCommand::Bench(args) => bench::run(args).await,
        HandlerCommand::Push(args) => push::run(args).await,
        HandlerCommand::List(args) => list::run(args).await,
        HandlerCommand::Check(args) => check::run(&args),
    }
}
