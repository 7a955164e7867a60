//! The `floodgate` command: parse, set up the process, run one subcommand, report how it went.

mod accept_loss;
mod api;
mod apply;
mod backup;
mod books;
mod dev;
mod doctor;
mod events;
mod exit;
mod handler;
mod keys;
mod logging;
mod output;
mod pages;
mod rejects;
mod replay;
mod rollout;
mod serve;
mod shutdown;
mod source;
mod table;
mod tether;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use floodgate_event::causes::chain;

use crate::exit::Failure;

/// glibc's allocator takes a tenth of a gateway's time. It keeps memory for each thread apart, and so takes
/// three times a relay's memory.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A multi-region gateway for webhooks: verified, transformed and durable at the edge,
/// delivered once from the centre.
#[derive(Parser)]
#[command(name = "floodgate", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a region's gateway until SIGTERM
    Gateway(serve::ConfigFile),
    /// Run the relay until SIGTERM
    Relay(serve::ConfigFile),
    /// Run a whole deployment on this machine, each part a process of its own
    Dev(dev::DevArgs),
    /// Make the configuration what a file says
    Apply(apply::ApplyArgs),
    /// Show whether the books balance; exit status 1 if they do not
    Books(books::BooksArgs),
    /// Accept that a stream of the centre has lost data, and continue with what it still
    /// holds; until then, or until a restore, its shard is stopped
    AcceptLoss(accept_loss::AcceptLossArgs),
    /// List and show events
    #[command(subcommand)]
    Events(events::EventsCommand),
    /// List requests that gateways refused, and verify held ones again
    #[command(subcommand)]
    Rejects(rejects::RejectsCommand),
    /// Run quarantined events through their handlers again; exit status 1 if some failed again
    Replay(replay::ReplayArgs),
    /// Write, build, test and upload handlers
    Handler(handler::HandlerArgs),
    /// Find out how a provider's request is signed, and why it is refused
    #[command(subcommand)]
    Source(source::SourceCommand),
    /// Make keys, certificates and tokens of a deployment; existing keys are kept
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Check this host, and the deployment, and say what to do about what is wrong;
    /// exit status 1 if something is
    Doctor(doctor::DoctorArgs),
    /// Save what the centre's NATS holds, or a region's, into a folder
    Backup(backup::BackupArgs),
    /// Put a backup back; every relay, and the gateways of a region that is restored, must be stopped
    Restore(backup::RestoreArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell to complete for
        shell: clap_complete::Shell,
    },
    /// Run a program that ends with the process that started it
    #[command(hide = true)]
    Tether(tether::TetherArgs),
}

fn main() -> ExitCode {
    report(run(Cli::parse().command))
}

/// Prints to stderr what went wrong, and returns the exit status.
fn report(result: Result<(), Failure>) -> ExitCode {
    let (error, status) = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Work(error)) => (error, 1),
        Err(Failure::Usage(error)) => (error, 2),
    };
    eprintln!("floodgate: {}", output::lines(&chain(error.as_ref())));
    ExitCode::from(status)
}

fn run(command: Command) -> Result<(), Failure> {
    let quiet = matches!(command, Command::Backup(_) | Command::Restore(_) | Command::Doctor(_));
    logging::install(quiet)?;
    // Several TLS providers may be compiled in; this process uses one.
    // An error means that it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match command {
        Command::Gateway(file) => serve::gateway(&file),
        Command::Relay(file) => serve::relay(&file),
        Command::Dev(args) => dev::run(args),
        Command::Apply(args) => output::block_on(apply::run(args)),
        Command::Books(args) => output::block_on(books::run(args)),
        Command::AcceptLoss(args) => output::block_on(accept_loss::run(args)),
        Command::Events(command) => output::block_on(events::run(command)),
        Command::Rejects(command) => output::block_on(rejects::run(command)),
        Command::Replay(args) => output::block_on(replay::run(args)),
        Command::Handler(args) => output::block_on(handler::run(args)),
        Command::Source(command) => source::run(&command),
        Command::Keys(command) => keys::run(&command),
        Command::Doctor(args) => output::block_on(doctor::run(args)),
        Command::Backup(args) => output::block_on(backup::save(args)),
        Command::Restore(args) => output::block_on(backup::restore(args)),
        Command::Completions { shell } => completions(shell),
        Command::Tether(args) => tether::run(&args),
    }
}

fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "floodgate", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
