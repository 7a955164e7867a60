//! `floodgate events`: looks at events.

mod list;

use serde_json::{Map, Value};

use crate::api::{Api, ApiArgs};
use crate::exit::Failure;
use crate::output;
use crate::table::Table;

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
    /// The event's id, as the gateway answered it and as consumers see it in `webhook-id`
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
    let event: Map<String, Value> = Api::new(args.api)?.get(&["events", &args.id]).await?;
    if args.json { output::print_json(&event) } else { output::print(&render(&event)) }
}

/// Plain fields first, one to a line; then each list of objects as a table of its own.
fn render(event: &Map<String, Value>) -> String {
    let (lists, fields): (Vec<_>, Vec<_>) = event.iter().partition(|(_, value)| is_table(value));
    let mut table = Table::default();
    for (name, value) in fields {
        table.row([name.clone(), text(value)]);
    }
    let lists = lists.into_iter().map(|(name, value)| format!("\n{name}\n{}", listing(value)));
    std::iter::once(table.render()).chain(lists).collect()
}

fn is_table(value: &Value) -> bool {
    value.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(Value::is_object))
}

/// A column for each field that any of the objects has.
fn listing(items: &Value) -> String {
    let objects: Vec<_> = items.as_array().into_iter().flatten().filter_map(Value::as_object).collect();
    let mut columns: Vec<&String> = Vec::new();
    for name in objects.iter().flat_map(|object| object.keys()) {
        if !columns.contains(&name) {
            columns.push(name);
        }
    }
    let mut table = Table::new(columns.iter().map(|name| name.as_str()));
    for object in objects {
        table.row(columns.iter().map(|name| object.get(*name).map(text).unwrap_or_default()));
    }
    table.render()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_before_tables() {
        let event = serde_json::json!({
            "attempts": [{"number": 1, "status": 500}, {"number": 2, "status": 200, "note": "ok"}],
            "id": "evt_1", "parent": null,
        });
        let text = render(event.as_object().unwrap());
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[..2], [vec!["id", "evt_1"], vec!["parent", "-"]]);
        assert_eq!(lines[3..6], [vec!["attempts"], vec!["number", "status", "note"], vec!["1", "500"]]);
    }
}
