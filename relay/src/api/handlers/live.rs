//! Where a handler is live, and how it does there, by what gateways report.

use std::collections::BTreeMap;

use floodgate_api::view::{Counters, HandlerView, RegionVersions, ShownHandler, Trial};
use floodgate_control::Reports;
use floodgate_event::Name;
use floodgate_event::report::{HandlerReport, MAX_SAMPLES};

/// A handler over all regions. `trial` is the id of what is tried.
pub(super) fn shown(
    handler: HandlerView,
    trial: Option<u64>,
    reports: &[(Name, Option<Reports>)],
) -> ShownHandler {
    let name = &handler.name;
    let of_region = |(region, reports): &(Name, Option<Reports>)| {
        let mut versions: Vec<_> =
            reports.iter().flat_map(|reports| of(name, reports)).map(|one| one.version).collect();
        versions.sort_unstable();
        versions.dedup();
        RegionVersions { name: region.clone(), reachable: reports.is_some(), versions }
    };
    let mut counters = BTreeMap::<u32, Counters>::new();
    for one in reports.iter().flat_map(|(_, reports)| reports).flat_map(|reports| of(name, reports)) {
        let counters = counters.entry(one.version).or_default();
        add(&mut counters.runs, &one.runs);
        add(&mut counters.faults, &one.faults);
    }
    let trial = trial.map(|id| tried(name, id, reports));
    ShownHandler { regions: reports.iter().map(of_region).collect(), counters, trial, handler }
}

fn of<'a>(handler: &'a Name, reports: &'a Reports) -> impl Iterator<Item = &'a HandlerReport> {
    reports.fresh().flat_map(|gateway| &gateway.handlers).filter(move |report| report.name == *handler)
}

fn add(all: &mut BTreeMap<String, u64>, some: &BTreeMap<String, u64>) {
    for (name, count) in some {
        *all.entry(name.clone()).or_default() += count;
    }
}

fn tried(handler: &Name, id: u64, reports: &[(Name, Option<Reports>)]) -> Trial {
    let mut view = Trial::default();
    let gateways = reports.iter().flat_map(|(_, reports)| reports).flat_map(|reports| &reports.gateways);
    let trials = gateways.flat_map(|gateway| &gateway.report.trials);
    for trial in trials.filter(|trial| trial.name == *handler && trial.id == id) {
        view.tally += trial.tally;
        let room = MAX_SAMPLES.saturating_sub(view.samples.len());
        view.samples.extend(trial.samples.iter().take(room).cloned());
    }
    view
}
