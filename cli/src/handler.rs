//! `floodgate handler`: write, build, test and upload handlers.

mod bench;
mod build;
mod check;
mod compile;
mod list;
mod logs;
mod new;
mod push;
mod rollout;
mod show;
mod test;

use clap::{Args, Subcommand};
use floodgate_toolchain as toolchain;

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
    /// Show a handler: versions, where they are live, counters, and how a rollout does
    Show(show::ShowArgs),
    /// Promote a version: sources whose binding names no version run it
    Promote(rollout::PromoteArgs),
    /// Go back to the version that was promoted before
    Rollback(rollout::RollbackArgs),
    /// Run a version on a share of the events without effect, and compare
    Shadow(rollout::ShadowArgs),
    /// Let a version take over step by step, or be rolled back by itself
    Canary(rollout::CanaryArgs),
    /// Follow what a handler logs in all regions
    Logs(logs::LogsArgs),
    /// Check a component within limits of time and memory, and say so as JSON
    #[command(hide = true)]
    Check(check::CheckArgs),
    /// Compile a component to machine code within limits of time and memory
    #[command(hide = true)]
    Compile,
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
        HandlerCommand::Check(args) => check::run(&args).await,
        HandlerCommand::Compile => compile::run(),
        HandlerCommand::Promote(args) => rollout::promote(args).await,
        HandlerCommand::Rollback(args) => rollout::roll_back(args).await,
        HandlerCommand::Shadow(args) => rollout::shadow(args).await,
        HandlerCommand::Canary(args) => rollout::canary(args).await,
        HandlerCommand::Show(args) => show::run(args).await,
        HandlerCommand::Logs(args) => logs::run(args).await,
    }
}

impl From<toolchain::Error> for Failure {
    fn from(error: toolchain::Error) -> Self {
        let is_usage = error.is_usage();
        Self::either(error, is_usage)
    }
}

impl From<toolchain::build::Error> for Failure {
    fn from(error: toolchain::build::Error) -> Self {
        let is_usage = error.is_usage();
        Self::either(error, is_usage)
    }
}

impl From<toolchain::create::Error> for Failure {
    fn from(error: toolchain::create::Error) -> Self {
        let is_usage = error.is_usage();
        Self::either(error, is_usage)
    }
}

/// A folder that is no handler's is always the fault of whoever named or wrote it.
impl From<toolchain::project::Error> for Failure {
    fn from(error: toolchain::project::Error) -> Self {
        Self::usage(error)
    }
}
