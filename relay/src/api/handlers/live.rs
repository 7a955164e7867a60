//! Where a handler is live, and how it does there, by what gateways report.

use std::collections::BTreeMap;

use floodgate_control::Reports;
use floodgate_event::Name;
use floodgate_event::report::{Difference, HandlerReport, MAX_SAMPLES, TrialTally};
use serde::Serialize;

/// A handler over all regions.
#[derive(Serialize)]
pub(super) struct Live {
    regions: Vec<RegionView>,
    /// Runs and failures by version, since each gateway's process began.
    counters: BTreeMap<u32, Counters>,
    /// How the version that is tried does.
    trial: Option<TrialView>,
}

#[derive(Serialize)]
struct RegionView {
    name: Name,
    reachable: bool,
    /// The versions that its gateways serve: more than one while a change is on its way, or one is tried.
    versions: Vec<u32>,
}

#[derive(Default, Serialize)]
struct Counters {
    runs: BTreeMap<String, u64>,
    faults: BTreeMap<String, u64>,
}

#[derive(Default, Serialize)]
struct TrialView {
    #[serde(flatten)]
    tally: TrialTally,
    samples: Vec<Difference>,
}

impl Live {
    /// `trial` is the id of what is tried.
    pub(super) fn new(handler: &Name, trial: Option<u64>, reports: &[(Name, Option<Reports>)]) -> Self {
        let of_region = |(name, reports): &(Name, Option<Reports>)| {
            let mut versions: Vec<_> =
                reports.iter().flat_map(|reports| of(handler, reports)).map(|one| one.version).collect();
            versions.sort_unstable();
            versions.dedup();
            RegionView { name: name.clone(), reachable: reports.is_some(), versions }
        };
        let mut counters = BTreeMap::<u32, Counters>::new();
        for one in reports.iter().flat_map(|(_, reports)| reports).flat_map(|reports| of(handler, reports)) {
            counters.entry(one.version).or_default().add(one);
        }
        let trial = trial.map(|id| TrialView::new(handler, id, reports));
        Self { regions: reports.iter().map(of_region).collect(), counters, trial }
    }
}

fn of<'a>(handler: &'a Name, reports: &'a Reports) -> impl Iterator<Item = &'a HandlerReport> {
    reports.fresh().flat_map(|gateway| &gateway.handlers).filter(move |report| report.name == *handler)
}

impl Counters {
    fn add(&mut self, report: &HandlerReport) {
        add(&mut self.runs, &report.runs);
        add(&mut self.faults, &report.faults);
    }
}

fn add(all: &mut BTreeMap<String, u64>, some: &BTreeMap<String, u64>) {
    for (name, count) in some {
        *all.entry(name.clone()).or_default() += count;
    }
}

impl TrialView {
    fn new(handler: &Name, id: u64, reports: &[(Name, Option<Reports>)]) -> Self {
        let mut view = Self::default();
        let gateways = reports.iter().flat_map(|(_, reports)| reports).flat_map(|reports| &reports.gateways);
        let trials = gateways.flat_map(|gateway| &gateway.report.trials);
        for trial in trials.filter(|trial| trial.name == *handler && trial.id == id) {
            view.tally += trial.tally;
            let room = MAX_SAMPLES.saturating_sub(view.samples.len());
            view.samples.extend(trial.samples.iter().take(room).cloned());
        }
        view
    }
}
