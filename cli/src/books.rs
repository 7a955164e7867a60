//! `floodgate books`: whether everything that came in is accounted for.

use floodgate_api::books::{Books, Deliveries, Events, Unknown};

use crate::api::ApiArgs;
use crate::exit::Failure;
use crate::output;
use crate::table::Table;

/// How to show the books.
#[derive(clap::Args)]
pub(crate) struct BooksArgs {
    #[command(flatten)]
    api: ApiArgs,
    /// Print what the API answers
    #[arg(long)]
    json: bool,
}

/// Shows both balances, in all and per source.
///
/// # Errors
/// If they do not balance, or a region cannot be reached to know, besides what can go wrong on the way.
pub(crate) async fn run(args: BooksArgs) -> Result<(), Failure> {
    let answer = args.api.client()?.books().await?;
    let books = answer.read()?;
    if args.json {
        output::print_json(answer.json())?;
    } else {
        output::print(&render(&books))?;
    }
    if books.balanced { Ok(()) } else { Err(Failure::work("the books do not balance")) }
}

/// What this version does not know of the books is left out.
fn render(books: &Books) -> String {
    let outcomes = ["stored", "duplicate", "filtered", "responded", "quarantined", "in transit"];
    let mut events = Table::new(["events", "accepted", "="].into_iter().chain(outcomes));
    let outcomes = ["routed", "unmatched", "to match"];
    let mut stored = Table::new(["stored", "", "="].into_iter().chain(outcomes));
    let outcomes = ["delivered", "dead", "discarded", "pending"];
    let mut deliveries = Table::new(["deliveries", "matched", "="].into_iter().chain(outcomes));
    for (name, source) in &books.sources {
        events.row(event_cells(&source.events, name));
        if let Some(cells) = routing_cells(&source.events, name) {
            stored.row(cells);
        }
        deliveries.row(delivery_cells(&source.deliveries, name));
    }
    events.row(event_cells(&books.events, "in all"));
    if let Some(cells) = routing_cells(&books.events, "in all") {
        stored.row(cells);
    }
    deliveries.row(delivery_cells(&books.deliveries, "in all"));
    let unknown: String = books.unknown.iter().map(line).collect();
    let stored = books.events.routed.map(|_| format!("{}\n", stored.render())).unwrap_or_default();
    format!("{}\n{stored}{}{unknown}", events.render(), deliveries.render())
}

fn event_cells(events: &Events, name: &str) -> Vec<String> {
    let Events { stored, duplicate, filtered, responded, quarantined, in_transit, .. } = *events;
    let outcomes = [stored, duplicate, filtered, responded, quarantined, in_transit];
    cells(name, events.accepted, &outcomes, events.difference)
}

/// None of a relay of an earlier release.
fn routing_cells(events: &Events, name: &str) -> Option<Vec<String>> {
    let outcomes = [events.routed?, events.unmatched, events.to_match];
    Some(cells(name, events.stored, &outcomes, events.routing_difference))
}

fn delivery_cells(deliveries: &Deliveries, name: &str) -> Vec<String> {
    let Deliveries { delivered, dead, discarded, pending, .. } = *deliveries;
    cells(name, deliveries.matched, &[delivered, dead, discarded, pending], deliveries.difference)
}

fn line(unknown: &Unknown) -> String {
    format!("\nunknown: the {} lane of {} cannot be reached", unknown.lane, unknown.region)
}

/// A name, what came in, what became of it, and by how much that is off.
fn cells(name: &str, whole: u64, outcomes: &[u64], difference: i64) -> Vec<String> {
    let sign = if difference == 0 { "=" } else { "≠" };
    let mut cells = vec![name.to_owned(), whole.to_string(), sign.to_owned()];
    cells.extend(outcomes.iter().map(u64::to_string));
    cells.extend((difference != 0).then(|| format!("off by {difference}")));
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_seen() {
        assert_eq!(cells("eu", 2, &[1, 1], 0), ["eu", "2", "=", "1", "1"]);
        assert_eq!(cells("eu", 3, &[1, 1], 1), ["eu", "3", "≠", "1", "1", "off by 1"]);
    }
}
