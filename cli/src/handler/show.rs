//! `floodgate handler show`.

use std::collections::BTreeMap;

use clap::Args;
use floodgate_event::Name;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::api::ApiArgs;
use crate::exit::Failure;
use crate::output;
use crate::table::Table;

/// Which handler.
#[derive(Args)]
pub(crate) struct ShowArgs {
    name: Name,
    #[command(flatten)]
    api: ApiArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What the text shows; JSON shows all of it.
#[derive(Serialize, Deserialize)]
struct Shown {
    name: Name,
    promoted: u32,
    previous: Option<u32>,
    rollout: Option<Rollout>,
    last_rollout: Option<Concluded>,
    regions: Vec<Region>,
    counters: BTreeMap<u32, Counters>,
    trial: Option<Trial>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct Rollout {
    kind: String,
    version: u32,
    percent: f64,
    step: usize,
    steps_percent: Vec<f64>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct Concluded {
    kind: String,
    version: u32,
    conclusion: String,
    reason: String,
    at: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct Region {
    name: Name,
    reachable: bool,
    versions: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
struct Counters {
    runs: BTreeMap<String, u64>,
    faults: BTreeMap<String, u64>,
}

#[derive(Serialize, Deserialize)]
struct Trial {
    events: u64,
    faults: u64,
    differences: u64,
    samples: Vec<Sample>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct Sample {
    event: String,
    source: String,
    promoted: String,
    tried: String,
    parts: Vec<String>,
}

pub(crate) async fn run(args: ShowArgs) -> Result<(), Failure> {
    let shown: Shown = args.api.client()?.get(&["handlers", &args.name]).await?;
    if args.json { output::print_json(&shown) } else { output::print(&shown.render()) }
}

impl Shown {
    fn render(&self) -> String {
        let head = format!("{} version {} is promoted\n", self.name, self.promoted);
        [head, self.render_rollout(), self.render_regions(), self.render_counters()].concat()
    }

    fn render_rollout(&self) -> String {
        let tried = self.rollout.as_ref().map(Rollout::render).unwrap_or_default();
        let trial = self.trial.as_ref().map(Trial::render).unwrap_or_default();
        let last = self.last_rollout.as_ref().map(Concluded::render).unwrap_or_default();
        [tried, trial, last].concat()
    }

    fn render_regions(&self) -> String {
        let mut table = Table::new(["REGION", "SERVES"]);
        for region in &self.regions {
            let versions = region.versions.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
            table.row([
                region.name.to_string(),
                if region.reachable { versions } else { "out of reach".into() },
            ]);
        }
        table.render()
    }

    fn render_counters(&self) -> String {
        let mut table = Table::new(["VERSION", "RUNS", "FAULTS"]);
        for (version, counters) in &self.counters {
            table.row([version.to_string(), list(&counters.runs), list(&counters.faults)]);
        }
        table.render()
    }
}

fn list(counts: &BTreeMap<String, u64>) -> String {
    counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}

impl Rollout {
    fn render(&self) -> String {
        let Self { kind, version, percent, step, steps_percent, .. } = self;
        format!(
            "{kind} of version {version}: step {step} of {}, {percent} % of the events\n",
            steps_percent.len()
        )
    }
}

impl Concluded {
    fn render(&self) -> String {
        let Self { kind, version, conclusion, reason, at, .. } = self;
        format!("the last {kind}, of version {version}: {}: {reason} ({at})\n", conclusion.replace('_', " "))
    }
}

impl Trial {
    fn render(&self) -> String {
        let Self { events, faults, differences, .. } = self;
        let head = format!(
            "  {events} events on both versions: {faults} it failed on, {differences} decided otherwise\n"
        );
        let samples = self.samples.iter().map(|sample| {
            let Sample { event, source, promoted, tried, parts } = sample;
            format!("  {event} {source}: {promoted} → {tried} ({})\n", parts.join(", "))
        });
        std::iter::once(head).chain(samples).collect()
    }
}
