//! `floodgate handler show`.

use std::collections::BTreeMap;

use clap::Args;
use floodgate_api::view::{
    Concluded, Conclusion, Counters, RegionVersions, RolloutView, ShownHandler, Trial,
};
use floodgate_event::Name;
use floodgate_event::report::{Difference, TrialTally};

use crate::api::ApiArgs;
use crate::exit::Failure;
use crate::output;
use crate::table::Table;

/// Arguments of `floodgate handler show`.
#[derive(Args)]
pub(crate) struct ShowArgs {
    name: Name,
    #[command(flatten)]
    api: ApiArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: ShowArgs) -> Result<(), Failure> {
    let answer = args.api.client()?.handler(&args.name).await?;
    if args.json { output::print_json(answer.json()) } else { output::print(&render(&answer.read()?)) }
}

fn render(shown: &ShownHandler) -> String {
    let ShownHandler { handler, regions, counters, trial } = shown;
    let parts = [
        format!("{} version {} is promoted\n", handler.name, handler.promoted),
        handler.rollout.as_ref().map(render_rollout).unwrap_or_default(),
        trial.as_ref().map(render_trial).unwrap_or_default(),
        handler.last_rollout.as_ref().map(render_last).unwrap_or_default(),
        render_regions(regions),
        render_counters(counters),
    ];
    parts.concat()
}

fn render_rollout(rollout: &RolloutView) -> String {
    let RolloutView { kind, version, step, steps_percent, .. } = rollout;
    let (kind, steps) = (kind.as_str(), steps_percent.len());
    let percent = rollout.percent.map(f64::from).unwrap_or_default();
    format!("{kind} of version {version}: step {step} of {steps}, {percent} % of the events\n")
}

fn render_trial(trial: &Trial) -> String {
    let TrialTally { events, faults, differences, .. } = trial.tally;
    let head = format!(
        "  {events} events on both versions: {faults} it failed on, {differences} decided otherwise\n"
    );
    let samples = trial.samples.iter().map(|sample| {
        let Difference { event, source, promoted, tried, parts } = sample;
        format!("  {event} {source}: {promoted} → {tried} ({})\n", parts.join(", "))
    });
    std::iter::once(head).chain(samples).collect()
}

fn render_last(last: &Concluded) -> String {
    let Concluded { kind, version, conclusion, reason, at, .. } = last;
    let conclusion = match conclusion {
        Conclusion::Promoted => "promoted",
        Conclusion::RolledBack => "rolled back",
        Conclusion::Stopped => "stopped",
    };
    format!("the last {}, of version {version}: {conclusion}: {reason} ({at})\n", kind.as_str())
}

fn render_regions(regions: &[RegionVersions]) -> String {
    let mut table = Table::new(["REGION", "SERVES"]);
    for region in regions {
        let versions = region.versions.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        table.row([region.name.to_string(), if region.reachable { versions } else { "out of reach".into() }]);
    }
    table.render()
}

fn render_counters(counters: &BTreeMap<u32, Counters>) -> String {
    let mut table = Table::new(["VERSION", "RUNS", "FAULTS"]);
    for (version, counters) in counters {
        table.row([version.to_string(), list(&counters.runs), list(&counters.faults)]);
    }
    table.render()
}

fn list(counts: &BTreeMap<String, u64>) -> String {
    counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}
