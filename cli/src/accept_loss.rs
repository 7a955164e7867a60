//! `floodgate accept-loss`: going on without what a stream of the centre has lost.

use floodgate_api::central::{AcceptDocument, Acceptance};
use serde::Deserialize;
use serde_json::Value;

use crate::api::ApiArgs;
use crate::exit::Failure;
use crate::output;

/// Which stream.
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

/// Accepts the loss.
///
/// # Errors
/// If the stream is not lost, besides what can go wrong on the way.
pub(crate) async fn run(args: AcceptLossArgs) -> Result<(), Failure> {
    let order = AcceptDocument { stream: args.stream };
    let answer: Value = args.api.client()?.post(&["central-streams", "accept-loss"], &order).await?;
    if args.json {
        return output::print_json(&answer);
    }
    let Acceptance { stream, stands_through, .. } =
        Acceptance::deserialize(&answer).map_err(Failure::work)?;
    let stands = match stands_through {
        0 => "nothing of what was read from it stands".to_owned(),
        through => format!("what was read from it up to {through} stands"),
    };
    output::print(&format!("{stream} goes on as it is: {stands}\n"))
}
