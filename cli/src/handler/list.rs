//! `floodgate handler list`.

use clap::Args;
use floodgate_api::answer::Listed;
use floodgate_api::view::{Bound, HandlerView, VersionView};
use floodgate_event::Name;
use serde::Serialize;

use crate::api::ApiArgs;
use crate::exit::Failure;
use crate::output;
use crate::table::Table;

/// Arguments of `floodgate handler list`.
#[derive(Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    api: ApiArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What `--json` prints of the list.
#[derive(Serialize)]
struct Printed<'a> {
    revision: u64,
    items: Vec<PrintedHandler<'a>>,
}

#[derive(Serialize)]
struct PrintedHandler<'a> {
    name: &'a Name,
    promoted: u32,
    versions: &'a [VersionView],
    bound: &'a [Bound],
}

pub(crate) async fn run(args: ListArgs) -> Result<(), Failure> {
    let listed = args.api.client()?.handlers().await?;
    if args.json { output::print_json(&printed(&listed)) } else { output::print(&render(&listed)) }
}

fn printed(listed: &Listed<HandlerView>) -> Printed<'_> {
    let items = listed.items.iter().map(|handler| PrintedHandler {
        name: &handler.name,
        promoted: handler.promoted,
        versions: &handler.versions,
        bound: &handler.bound,
    });
    Printed { revision: listed.revision, items: items.collect() }
}

/// A row for each version, the newest first.
fn render(listed: &Listed<HandlerView>) -> String {
    let mut table = Table::new(["NAME", "VERSION", "PROMOTED", "BYTES", "CREATED", "SOURCES"]);
    for handler in &listed.items {
        for version in handler.versions.iter().rev() {
            let promoted = if version.version == handler.promoted { "yes" } else { "" };
            table.row([
                handler.name.to_string(),
                version.version.to_string(),
                promoted.to_owned(),
                version.size.to_string(),
                version.created_at.clone(),
                sources(handler, version.version),
            ]);
        }
    }
    table.render()
}

fn sources(handler: &HandlerView, version: u32) -> String {
    let bound = handler.bound.iter().filter(|bound| bound.version == Some(version));
    bound.map(|bound| bound.source.as_str()).collect::<Vec<_>>().join(" ")
}
