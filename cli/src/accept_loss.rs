//! `floodgate accept-loss`: continues without what a stream of the centre has lost.

use floodgate_api::central::{AcceptDocument, Acceptance};

use crate::api::ApiArgs;
use crate::exit::Failure;
use crate::output;

/// Arguments of `floodgate accept-loss`.
#[derive(clap::Args)]
pub(crate) struct AcceptLossArgs {
    /// The stream, as `floodgate doctor` names it: EVENTS_1, JOURNAL_1 or SET_ASIDE
    #[arg(value_name = "STREAM")]
    stream: String,
    #[command(flatten)]
    api: ApiArgs,
    /// Print what the API answers
    #[arg(long)]
    json: bool,
}

/// Accepts the loss of a stream, so that its shard continues with what is left.
///
/// # Errors
/// If the stream is not lost, besides what can go wrong on the way.
pub(crate) async fn run(args: AcceptLossArgs) -> Result<(), Failure> {
    let order = AcceptDocument { stream: args.stream };
    let answer = args.api.client()?.accept_loss(&order).await?;
    if args.json {
        return output::print_json(answer.json());
    }
    let Acceptance { stream, stands_through, .. } = answer.read()?;
    let stands = match stands_through {
        0 => "nothing that was read from it is kept".to_owned(),
        through => format!("what was read from it up to {through} is kept"),
    };
    output::print(&format!("{stream} is used as it is: {stands}\n"))
}
