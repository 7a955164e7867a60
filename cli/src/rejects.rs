//! `floodgate rejects`: looks at refused requests.

mod replay;

use std::net::IpAddr;

use floodgate_api::reject::{Reject, Rejects, RejectsQuery};
use floodgate_event::Name;

use crate::api::ApiArgs;
use crate::exit::Failure;
use crate::output;
use crate::pages;
use crate::table::Table;

/// What to do with refused requests.
#[derive(clap::Subcommand)]
pub(crate) enum RejectsCommand {
    /// List refused requests and connections, newest first
    List(ListArgs),
    /// Verify held requests of a source again, after it was corrected; exit status 1 if some do
    /// not verify
    Replay(replay::ReplayArgs),
}

/// Which refused requests to list.
#[derive(clap::Args)]
pub(crate) struct ListArgs {
    /// Only refusals in this region
    #[arg(long, value_name = "REGION")]
    region: Option<Name>,
    /// Only requests to this source; `-` for requests that named none
    #[arg(long, value_name = "SOURCE", allow_hyphen_values = true)]
    source: Option<String>,
    /// Only this code, such as signature-refused; `connection` for refused connections
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// Only rows of this IP address
    #[arg(long, value_name = "ADDRESS")]
    peer: Option<IpAddr>,
    /// Only refusals at this time (RFC 3339) or later
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only refusals before this time
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// The most rows to show
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    api: ApiArgs,
    /// Print JSON, with the headers and the start of the body
    #[arg(long)]
    json: bool,
}

/// Does what was asked for.
pub(crate) async fn run(command: RejectsCommand) -> Result<(), Failure> {
    let args = match command {
        RejectsCommand::List(args) => args,
        RejectsCommand::Replay(args) => return replay::run(args).await,
    };
    let json = args.json;
    let listing = collect(args).await?;
    if json { output::print_json(&listing) } else { output::print(&render(&listing)) }
}

async fn collect(args: ListArgs) -> Result<Rejects, Failure> {
    let ListArgs { region, source, code, peer, from, to, limit, api, .. } = args;
    let api = api.client()?;
    let mut query = RejectsQuery { region, source, code, peer, from, to, limit: None, after: None };
    let (items, next) = pages::collect(limit, RejectsQuery::MAX_LIMIT, async |limit, after| {
        (query.limit, query.after) = (Some(limit), after);
        api.rejects(&query).await.map(|page| (page.items, page.next))
    })
    .await?;
    Ok(Rejects { items, next })
}

fn render(listing: &Rejects) -> String {
    if listing.items.is_empty() {
        return "none\n".to_owned();
    }
    let mut table = Table::new(["at", "region", "source", "status", "peer", "what", "why"]);
    for item in &listing.items {
        let source = item.source.as_deref().unwrap_or("-");
        let status = item.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
        table.row([&item.at, &item.region, source, &status, &item.peer, &what(item), &item.reason]);
    }
    let left_out: u64 = listing.items.iter().map(|item| item.left_out).sum();
    let left_out = match left_out {
        0 => String::new(),
        count => {
            format!(
                "{count} more refusals were counted but not recorded: too many at once from an address or to a source\n"
            )
        }
    };
    let more = if listing.next.is_some() { "there are more: --limit\n" } else { "" };
    table.render() + &left_out + more
}

/// The code, with the step of a signature or the kind of a connection, and how many there were.
fn what(item: &Reject) -> String {
    let step = item.step.as_ref().map(|step| format!(" ({step})")).unwrap_or_default();
    let count = if item.count > 1 { format!(" × {}", item.count) } else { String::new() };
    let held = if item.held { ", held" } else { "" };
    format!("{}{step}{count}{held}", item.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_who_was_refused_and_why() {
        let text = r#"{"items": [
            {"id": "rej_1", "at": "2026-01-01T00:00:00Z", "region": "eu", "gateway": "eu-1", "source": "stripe",
             "tenant": "default", "code": "signature-refused", "status": 401, "step": "signature",
             "reason": "no\u001b[2J", "scheme": "stripe", "peer": "192.0.2.1:9", "count": 1,
             "first_at": "2026-01-01T00:00:00Z", "left_out": 7},
            {"id": "rej_2", "at": "2026-01-01T00:00:00Z", "region": "eu", "gateway": "eu-1", "source": null,
             "tenant": null, "code": "connection", "status": null, "step": "tls", "reason": "no common cipher",
             "scheme": null, "peer": "192.0.2.2", "count": 12, "first_at": "2026-01-01T00:00:00Z",
             "left_out": 0}], "next": "1.0"}"#;
        let listing: Rejects = serde_json::from_str(text).unwrap();
        let text = render(&listing);
        for wanted in [
            "signature-refused (signature)",
            "no\\u{1b}[2J",
            "connection (tls) × 12",
            "7 more refusals were counted",
        ] {
            assert!(text.contains(wanted), "{text}");
        }
        assert!(text.ends_with("there are more: --limit\n"), "{text}");
    }
}
