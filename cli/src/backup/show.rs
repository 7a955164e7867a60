//! Shows what a backup holds and what a restore means.

use std::path::Path;

use floodgate_backup::report::LaneReport;
use floodgate_backup::{Manifest, RestoreReport};

use crate::table::Table;

/// Describes a finished backup.
pub(super) fn saved(manifest: &Manifest, folder: &Path) -> String {
    let place = manifest.place();
    let (label, bytes) = (place.label(), manifest.bytes());
    format!("{}\n{label} saved in {}, {bytes} bytes\n", streams(manifest), folder.display())
}

/// Describes what a finished restore means for each region.
pub(super) fn restored(manifest: &Manifest, report: &RestoreReport) -> String {
    let place = manifest.place();
    let (label, from) = (place.label(), manifest.started_at);
    let mut text =
        format!("{}\n{label} restored as it was at {from}\n\n{}", streams(manifest), feeds(report));
    for region in &report.unknown {
        text += &format!("unknown: {region} does not answer, or lacks streams\n");
    }
    for newer in &report.newer_configurations {
        let (region, revision) = (&newer.region, newer.revision);
        text += &format!(
            "{region} serves revision {revision} of the configuration, which the centre no longer has; it serves that until \
             you apply your configuration again\n"
        );
    }
    if manifest.region.is_none() {
        text +=
            "what was delivered since then is delivered again, under the same webhook-id; start the relay\n";
    } else {
        text += "what the centre has of it already is found to be duplicate; start the relay, then the gateways\n";
    }
    text
}

fn streams(manifest: &Manifest) -> String {
    let mut table = Table::new(["stream", "messages", "first", "last", "bytes"]);
    for stream in &manifest.streams {
        let numbers = [stream.messages, stream.first_sequence, stream.last_sequence, stream.bytes];
        table.row([stream.name.clone()].into_iter().chain(numbers.map(|number| number.to_string())));
    }
    table.render()
}

fn feeds(report: &RestoreReport) -> String {
    let mut table =
        Table::new(["region", "lane", "in the log through", "in the region", "to copy", "lost blocks"]);
    for feed in &report.feeds {
        table.row(cells(feed));
    }
    format!("{}\n", table.render())
}

fn cells(feed: &LaneReport) -> [String; 6] {
    let known =
        |number: Option<u64>| number.map_or_else(|| "unknown".to_owned(), |number| number.to_string());
    let through = feed.copied_through.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let held = format!("{} to {}", feed.held.0, feed.held.1);
    let (region, lane) = (feed.region.to_string(), feed.lane.to_string());
    [region, lane, through, held, feed.to_copy.to_string(), known(feed.lost)]
}
