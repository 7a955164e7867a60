//! `floodgate handler promote`, `rollback`, `shadow` and `canary`: which version runs.

use clap::Args;
use floodgate_event::Name;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::api::{ApiArgs, Client};
use crate::exit::Failure;
use crate::output;
use crate::rollout::{self, Progress};

/// Which version to promote.
#[derive(Args)]
pub(crate) struct PromoteArgs {
    name: Name,
    version: u32,
    #[command(flatten)]
    api: ApiArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Which handler to roll back.
#[derive(Args)]
pub(crate) struct RollbackArgs {
    name: Name,
    #[command(flatten)]
    api: ApiArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Which version to run beside the promoted one.
#[derive(Args)]
pub(crate) struct ShadowArgs {
    name: Name,
    /// The version to try
    #[arg(long, required_unless_present = "stop")]
    version: Option<u32>,
    /// On how many of the events, 0.01 to 100
    #[arg(long, default_value_t = 10.0)]
    percent: f64,
    /// End it
    #[arg(long, conflicts_with_all = ["version", "percent"])]
    stop: bool,
    #[command(flatten)]
    api: ApiArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Which version is to take over, how fast, and what it may do worse.
#[derive(Args)]
pub(crate) struct CanaryArgs {
    name: Name,
    /// The version to try
    #[arg(long, required_unless_present = "stop")]
    version: Option<u32>,
    /// Shares of the events, one after the other; after the last the version is promoted
    #[arg(long, value_delimiter = ',', default_value = "1,10,50", value_name = "PERCENT,…")]
    steps: Vec<f64>,
    /// The least time of a step
    #[arg(long, default_value_t = 300)]
    step_seconds: u32,
    /// Events that a step needs, over all regions
    #[arg(long, default_value_t = 100)]
    min_events: u64,
    /// Roll back if it fails on more events that the promoted version can do
    #[arg(long, default_value_t = 1.0, value_name = "PERCENT")]
    max_faults: f64,
    /// Roll back if it decides otherwise on more events; without this, on as many as there are
    #[arg(long, value_name = "PERCENT")]
    max_differences: Option<f64>,
    /// Roll back if it runs longer by more
    #[arg(long, default_value_t = 100, value_name = "PERCENT")]
    max_slower: u32,
    /// End it; the promoted version stays
    #[arg(long, conflicts_with = "version")]
    stop: bool,
    #[command(flatten)]
    api: ApiArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What the API changed, and how far that has come.
#[derive(Serialize)]
struct InForce<'a> {
    #[serde(flatten)]
    changed: &'a Changed,
    #[serde(flatten)]
    progress: &'a Progress,
}

/// The API need not wait: [`tell`] does, and says meanwhile what it waits for.
const AT_ONCE: &str = "wait=false";

#[derive(Serialize, Deserialize)]
struct Changed {
    name: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    promoted: Option<u32>,
    revision: u64,
}

pub(crate) async fn promote(args: PromoteArgs) -> Result<(), Failure> {
    let PromoteArgs { name, version, api, json } = args;
    let api = api.client()?;
    let changed = post(&api, &name, "promote", json!({"version": version})).await?;
    tell(&api, &changed, json, &format!("{name} version {version} is promoted")).await
}

pub(crate) async fn roll_back(args: RollbackArgs) -> Result<(), Failure> {
    let RollbackArgs { name, api, json } = args;
    let api = api.client()?;
    let changed = post(&api, &name, "rollback", json!({})).await?;
    let version = changed.promoted.unwrap_or_default();
    tell(&api, &changed, json, &format!("{name} version {version} is promoted again")).await
}

pub(crate) async fn shadow(args: ShadowArgs) -> Result<(), Failure> {
    let ShadowArgs { name, version, percent, stop, api, json } = args;
    let api = api.client()?;
    if stop {
        return end(&api, &name, json).await;
    }
    let changed = post(&api, &name, "shadow", json!({"version": version, "percent": percent})).await?;
    let version = version.unwrap_or_default();
    let text = format!("{name} version {version} runs on {percent} % of the events, without effect");
    tell(&api, &changed, json, &text).await
}

pub(crate) async fn canary(args: CanaryArgs) -> Result<(), Failure> {
    let api = args.api.client()?;
    if args.stop {
        return end(&api, &args.name, args.json).await;
    }
    let document = json!({
        "version": args.version,
        "steps_percent": args.steps,
        "step_seconds": args.step_seconds,
        "budget": {
            "faults_percent": args.max_faults,
            "differences_percent": args.max_differences,
            "slower_percent": args.max_slower,
            "min_events": args.min_events,
        },
    });
    let changed = post(&api, &args.name, "canary", document).await?;
    let (name, version) = (&args.name, args.version.unwrap_or_default());
    let first = args.steps.first().copied().unwrap_or_default();
    let text = format!("{name} version {version} runs on {first} % of the events");
    tell(&api, &changed, args.json, &text).await
}

async fn end(api: &Client, name: &Name, json: bool) -> Result<(), Failure> {
    let changed: Changed = api.delete_with(&["handlers", name, "rollout"], AT_ONCE).await?;
    tell(api, &changed, json, &format!("{name}: nothing is tried any more")).await
}

async fn post(api: &Client, name: &Name, action: &str, document: Value) -> Result<Changed, Failure> {
    Ok(api.post_with(&["handlers", name, action], &without_nulls(document), AT_ONCE).await?)
}

/// What is null is left to the API's default.
fn without_nulls(document: Value) -> Value {
    match document {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(name, value)| (name, without_nulls(value))).collect::<Map<_, _>>())
        }
        other => other,
    }
}

/// Says what was changed at once, and that it is so once regions serve it:
/// until then events still run what ran before.
async fn tell(api: &Client, changed: &Changed, json: bool, text: &str) -> Result<(), Failure> {
    let revision = changed.revision;
    if !json {
        output::print(&format!("{text}, revision {revision}\n"))?;
    }
    let progress = rollout::wait(api, revision).await?;
    match json {
        true => output::print_json(&InForce { changed, progress: &progress })?,
        false => output::print(&progress.render(revision))?,
    }
    match progress.shortfall(revision, |_| true) {
        None => Ok(()),
        Some(shortfall) => Err(Failure::work(shortfall)),
    }
}
