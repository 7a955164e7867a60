//! `floodgate events list`.

use floodgate_api::event::{ListQuery, Quarantined, QuarantinedStatus};
use floodgate_event::Name;

use crate::api::ApiArgs;
use crate::exit::Failure;
use crate::output;
use crate::pages;
use crate::table::Table;

/// Which events to list.
#[derive(clap::Args)]
pub(crate) struct ListArgs {
    /// Only events of this status
    #[arg(long)]
    status: Status,
    /// Only events of this source
    #[arg(long, value_name = "SOURCE")]
    source: Option<Name>,
    /// Only events that this handler failed on
    #[arg(long, value_name = "HANDLER")]
    handler: Option<Name>,
    /// The most events to show
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    api: ApiArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What became of events, as far as they can be listed.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Status {
    /// Kept because a handler failed
    Quarantined,
}

impl From<Status> for QuarantinedStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Quarantined => Self::Quarantined,
        }
    }
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Quarantined => "quarantined",
        }
    }
}

pub(crate) async fn run(args: ListArgs) -> Result<(), Failure> {
    let json = args.json;
    let listing = collect(args).await?;
    if json {
        return output::print_json(&listing);
    }
    output::print(&render(&listing))
}

async fn collect(args: ListArgs) -> Result<Quarantined, Failure> {
    let ListArgs { status, source, handler, limit, api, .. } = args;
    let api = api.client()?;
    let status = Some(status.as_str().to_owned());
    let mut query = ListQuery { status, source, handler, limit: None, after: None };
    let (items, next) = pages::collect(limit, ListQuery::MAX_LIMIT, async |limit, after| {
        (query.limit, query.after) = (Some(limit), after);
        api.events(&query).await.map(|page| (page.items, page.next))
    })
    .await?;
    Ok(Quarantined { items, next })
}

fn render(listing: &Quarantined) -> String {
    if listing.items.is_empty() {
        return "none\n".to_owned();
    }
    let mut table = Table::new(["id", "stored at", "source", "type", "handler", "failure"]);
    for item in &listing.items {
        let handler = format!("{}@{}", item.handler, item.version);
        let failure = format!("{}: {}", item.kind, item.message);
        let fields = [&item.id, &item.stored_at, &item.source, &item.event_type, &handler, &failure];
        table.row(fields.map(String::as_str));
    }
    let more = if listing.next.is_some() { "there are more: --limit\n" } else { "" };
    table.render() + more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_what_failed_and_whether_there_is_more() {
        let text = r#"{"items": [{"id": "evt_1", "status": "quarantined", "source": "orders", "type": "order.paid",
            "region": "eu", "handler": "trim", "version": 3, "kind": "trap", "message": "no\u001b[2J",
            "received_at": "2026-01-01T00:00:00Z", "stored_at": "2026-01-01T00:00:01Z"}], "next": "1.evt_1"}"#;
        let listing: Quarantined = serde_json::from_str(text).unwrap();
        let text = render(&listing);
        assert!(text.contains("trim@3") && text.contains("trap: no\\u{1b}[2J"), "{text}");
        assert!(text.ends_with("there are more: --limit\n"), "{text}");
    }
}
