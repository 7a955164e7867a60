//! `floodgate handler list`.

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::api::{Api, ApiArgs};
use crate::exit::Failure;
use crate::output;
use crate::table::Table;

/// How to list.
#[derive(Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    api: ApiArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize, Deserialize)]
struct Listed {
    revision: u64,
    items: Vec<Handler>,
}

#[derive(Serialize, Deserialize)]
struct Handler {
    name: String,
    promoted: u32,
    versions: Vec<Version>,
    bound: Vec<Bound>,
}

#[derive(Serialize, Deserialize)]
struct Version {
    version: u32,
    digest: String,
    size: u64,
    created_at: String,
}

#[derive(Serialize, Deserialize)]
struct Bound {
    source: String,
    version: Option<u32>,
    pinned: bool,
}

pub(crate) async fn run(args: ListArgs) -> Result<(), Failure> {
    let listed: Listed = Api::new(args.api)?.get(&["handlers"]).await?;
    if args.json { output::print_json(&listed) } else { output::print(&render(&listed)) }
}

/// A row for each version, the newest first.
fn render(listed: &Listed) -> String {
    let mut table = Table::new(["NAME", "VERSION", "PROMOTED", "BYTES", "CREATED", "SOURCES"]);
    for handler in &listed.items {
        for version in handler.versions.iter().rev() {
            let promoted = if version.version == handler.promoted { "yes" } else { "" };
            table.row([
                handler.name.clone(),
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

fn sources(handler: &Handler, version: u32) -> String {
    let bound = handler.bound.iter().filter(|bound| bound.version == Some(version));
    bound.map(|bound| bound.source.as_str()).collect::<Vec<_>>().join(" ")
}
