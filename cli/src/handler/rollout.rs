//! `floodgate handler promote`, `rollback`, `shadow` and `canary`: which version runs.

use clap::Args;
use floodgate_api::document::{CanaryDocument, Document, PromotionDocument, ShadowDocument, read_json};
use floodgate_api::query::WaitQuery;
use floodgate_api::view::{Change, Promoted};
use floodgate_event::{Name, Problem, ProblemCode};
use serde::Serialize;
use serde_json::{Value, json};

use crate::api::{ApiArgs, Client, ClientError};
use crate::exit::Failure;
use crate::output;
use crate::rollout::{self, Progress};

/// Arguments of `floodgate handler promote`.
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

/// Arguments of `floodgate handler rollback`.
#[derive(Args)]
pub(crate) struct RollbackArgs {
    name: Name,
    #[command(flatten)]
    api: ApiArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `floodgate handler shadow`.
#[derive(Args)]
pub(crate) struct ShadowArgs {
    name: Name,
    /// The version to try
    #[arg(long, required_unless_present = "stop")]
    version: Option<u32>,
    /// On how many of the events, 0.01 to 100
    #[arg(long, default_value_t = 10.0)]
    percent: f64,
    /// End the shadow run
    #[arg(long, conflicts_with_all = ["version", "percent"])]
    stop: bool,
    #[command(flatten)]
    api: ApiArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `floodgate handler canary`.
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
    /// End the canary; the promoted version stays live
    #[arg(long, conflicts_with = "version")]
    stop: bool,
    #[command(flatten)]
    api: ApiArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The API is asked not to wait: [`finish`] waits, and reports meanwhile what it waits for.
const AT_ONCE: WaitQuery = WaitQuery { wait: false };

/// What the API changed, and for `--json` how far that has come.
#[derive(Serialize)]
struct Changed {
    name: Name,
    #[serde(skip_serializing_if = "Option::is_none")]
    promoted: Option<u32>,
    revision: u64,
    #[serde(flatten)]
    progress: Option<Progress>,
}

impl From<Promoted> for Changed {
    fn from(Promoted { name, promoted, revision, .. }: Promoted) -> Self {
        Self { name, promoted: Some(promoted), revision, progress: None }
    }
}

impl From<Change> for Changed {
    fn from(Change { name, revision, .. }: Change) -> Self {
        Self { name, promoted: None, revision, progress: None }
    }
}

pub(crate) async fn promote(args: PromoteArgs) -> Result<(), Failure> {
    let PromoteArgs { name, version, api, json } = args;
    let api = api.client()?;
    let document: PromotionDocument = document(&json!({"version": version}))?;
    let promoted = api.promote(&name, &document, AT_ONCE).await?;
    finish(&api, promoted.into(), json, &format!("{name} version {version} is promoted")).await
}

pub(crate) async fn roll_back(args: RollbackArgs) -> Result<(), Failure> {
    let RollbackArgs { name, api, json } = args;
    let api = api.client()?;
    let promoted = api.roll_back(&name, AT_ONCE).await?;
    let text = format!("{name} version {} is promoted again", promoted.promoted);
    finish(&api, promoted.into(), json, &text).await
}

pub(crate) async fn shadow(args: ShadowArgs) -> Result<(), Failure> {
    let ShadowArgs { name, version, percent, stop, api, json } = args;
    let api = api.client()?;
    if stop {
        return end(&api, &name, json).await;
    }
    let document: ShadowDocument = document(&json!({"version": version, "percent": percent}))?;
    let change = api.shadow(&name, &document, AT_ONCE).await?;
    let version = document.version;
    let text = format!("{name} version {version} runs on {percent} % of the events, without effect");
    finish(&api, change.into(), json, &text).await
}

pub(crate) async fn canary(args: CanaryArgs) -> Result<(), Failure> {
    let api = args.api.client()?;
    if args.stop {
        return end(&api, &args.name, args.json).await;
    }
    let mut budget = json!({
        "faults_percent": args.max_faults,
        "slower_percent": args.max_slower,
        "min_events": args.min_events,
    });
    if let Some(percent) = args.max_differences {
        budget["differences_percent"] = percent.into();
    }
    let document: CanaryDocument = document(&json!({
        "version": args.version,
        "steps_percent": args.steps,
        "step_seconds": args.step_seconds,
        "budget": budget,
    }))?;
    let change = api.canary(&args.name, &document, AT_ONCE).await?;
    let (name, version) = (&args.name, document.version);
    let first = args.steps.first().copied().unwrap_or_default();
    let text = format!("{name} version {version} runs on {first} % of the events");
    finish(&api, change.into(), args.json, &text).await
}

async fn end(api: &Client, name: &Name, json: bool) -> Result<(), Failure> {
    let change = api.stop_rollout(name, AT_ONCE).await?;
    finish(api, change.into(), json, &format!("{name}: nothing is tried any more")).await
}

/// What was asked for as a document, or why the relay would refuse it, in the relay's words.
fn document<T: Document>(json: &Value) -> Result<T, Failure> {
    read_json(json.to_string().as_bytes()).map_err(|invalid| {
        let problem = Problem::with_detail(ProblemCode::Invalid, invalid.to_string());
        ClientError::Refused(problem).into()
    })
}

/// Prints the change at once, and that it is in force once regions serve it: until then, events still run
/// what ran before.
async fn finish(api: &Client, mut changed: Changed, json: bool, text: &str) -> Result<(), Failure> {
    let revision = changed.revision;
    if !json {
        output::print(&format!("{text}, revision {revision}\n"))?;
    }
    let progress = rollout::wait(api, revision).await?;
    let shortfall = progress.shortfall(revision, |_| true);
    if json {
        changed.progress = Some(progress);
        output::print_json(&changed)?;
    } else {
        output::print(&progress.render(revision))?;
    }
    shortfall.map_or(Ok(()), |shortfall| Err(Failure::work(shortfall)))
}
