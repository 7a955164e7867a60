//! `floodgate books`: whether everything that came in is accounted for.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::api::{Api, ApiArgs};
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
    let answer: Value = Api::new(args.api)?.get(&["books"]).await?;
    let books = Books::deserialize(&answer).map_err(Failure::work)?;
    if args.json {
        output::print_json(&answer)?;
    } else {
        output::print(&books.render())?;
    }
    if books.balanced { Ok(()) } else { Err(Failure::work("the books do not balance")) }
}

/// The books, at one cut. What this version does not show of them is left alone.
#[derive(Debug, Deserialize)]
struct Books {
    balanced: bool,
    events: Events,
    deliveries: Deliveries,
    sources: BTreeMap<String, Source>,
    unknown: Vec<Unknown>,
}

/// One source's part of them.
#[derive(Debug, Deserialize)]
struct Source {
    events: Events,
    deliveries: Deliveries,
}

/// What became of the events that were accepted.
#[derive(Debug, Deserialize)]
struct Events {
    accepted: u64,
    stored: u64,
    duplicate: u64,
    filtered: u64,
    responded: u64,
    quarantined: u64,
    in_transit: u64,
    difference: i64,
    /// These four are not told by a relay of an earlier release.
    routed: Option<u64>,
    #[serde(default)]
    unmatched: u64,
    #[serde(default)]
    to_match: u64,
    #[serde(default)]
    routing_difference: i64,
}

/// What became of the deliveries that were due.
#[derive(Debug, Deserialize)]
struct Deliveries {
    matched: u64,
    delivered: u64,
    dead: u64,
    discarded: u64,
    pending: u64,
    difference: i64,
}

/// A lane of a region that could not be asked.
#[derive(Debug, Deserialize)]
struct Unknown {
    region: String,
    lane: String,
}

impl Books {
    fn render(&self) -> String {
        let outcomes = ["stored", "duplicate", "filtered", "responded", "quarantined", "in transit"];
        let mut events = Table::new(["events", "accepted", "="].into_iter().chain(outcomes));
        let outcomes = ["routed", "unmatched", "to match"];
        let mut stored = Table::new(["stored", "", "="].into_iter().chain(outcomes));
        let outcomes = ["delivered", "dead", "discarded", "pending"];
        let mut deliveries = Table::new(["deliveries", "matched", "="].into_iter().chain(outcomes));
        for (name, source) in &self.sources {
            events.row(source.events.cells(name));
            if let Some(cells) = source.events.routing_cells(name) {
                stored.row(cells);
            }
            deliveries.row(source.deliveries.cells(name));
        }
        events.row(self.events.cells("in all"));
        if let Some(cells) = self.events.routing_cells("in all") {
            stored.row(cells);
        }
        deliveries.row(self.deliveries.cells("in all"));
        let unknown: String = self.unknown.iter().map(Unknown::line).collect();
        let stored = self.events.routed.map(|_| format!("{}\n", stored.render())).unwrap_or_default();
        format!("{}\n{stored}{}{unknown}", events.render(), deliveries.render())
    }
}

impl Events {
    fn cells(&self, name: &str) -> Vec<String> {
        let outcomes =
            [self.stored, self.duplicate, self.filtered, self.responded, self.quarantined, self.in_transit];
        cells(name, self.accepted, &outcomes, self.difference)
    }

    fn routing_cells(&self, name: &str) -> Option<Vec<String>> {
        let outcomes = [self.routed?, self.unmatched, self.to_match];
        Some(cells(name, self.stored, &outcomes, self.routing_difference))
    }
}

impl Deliveries {
    fn cells(&self, name: &str) -> Vec<String> {
        let outcomes = [self.delivered, self.dead, self.discarded, self.pending];
        cells(name, self.matched, &outcomes, self.difference)
    }
}

impl Unknown {
    fn line(&self) -> String {
        format!("\nunknown: the {} lane of {} cannot be reached", self.lane, self.region)
    }
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
