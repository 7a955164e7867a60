//! `floodgate events`: looks at events.

mod list;
mod show;

use crate::api::ApiArgs;
use crate::exit::Failure;
use crate::output;

pub(crate) use list::Status;

/// What to look at.
#[derive(clap::Subcommand)]
pub(crate) enum EventsCommand {
    /// List events by what became of them, newest first
    List(list::ListArgs),
    /// Show an event with its deliveries and attempts
    Show(ShowArgs),
}

/// Which event to show.
#[derive(clap::Args)]
pub(crate) struct ShowArgs {
    /// The event's id, as the gateway answered it and as consumers see it in `webhook-id`; or its provider's
    id: String,
    #[command(flatten)]
    api: ApiArgs,
    /// Print what the API answers
    #[arg(long)]
    json: bool,
}

/// Shows what was asked for.
pub(crate) async fn run(command: EventsCommand) -> Result<(), Failure> {
    match command {
        EventsCommand::List(args) => list::run(args).await,
        EventsCommand::Show(args) => show(args).await,
    }
}

async fn show(args: ShowArgs) -> Result<(), Failure> {
    let event = args.api.client()?.event(&args.id).await?.into_json();
    if args.json { output::print_json(&event) } else { output::print(&show::render(event)) }
}
