//! `floodgate handler push`.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use floodgate_event::Name;
use futures::stream;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Body;
use serde::{Deserialize, Serialize};

use super::build::{self, Built};
use super::test;
use crate::api::{Api, ApiArgs};
use crate::exit::Failure;
use crate::output;

/// How long an upload may take: the relay checks the component within a minute, after those before it.
const TIMEOUT: Duration = Duration::from_secs(180);
/// Bytes of a step of the progress bar.
const STEP: usize = 64 * 1024;

/// What to upload.
#[derive(Args)]
pub(crate) struct PushArgs {
    /// The handler's folder, which is built and tested first, or a component
    #[arg(default_value = ".", value_name = "PATH|FILE.wasm")]
    path: PathBuf,
    /// The name that sources bind it by
    #[arg(long)]
    name: Name,
    /// The folder of fixtures; `fixtures` in the handler's folder if left out
    #[arg(long, value_name = "DIR")]
    fixtures: Option<PathBuf>,
    #[command(flatten)]
    api: ApiArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What the admin API answers.
#[derive(Serialize, Deserialize)]
struct Uploaded {
    name: Name,
    version: u32,
    digest: String,
    revision: u64,
}

pub(crate) async fn run(args: PushArgs) -> Result<(), Failure> {
    let component = component(&args)?;
    try_out(&args, &component).await?;
    let api = Api::new(args.api)?;
    let name = args.name;
    let uploaded: Uploaded = api.upload(&["handlers", &name], body(component.into()), TIMEOUT).await?;
    if args.json {
        return output::print_json(&uploaded);
    }
    let Uploaded { name, version, digest, revision } = uploaded;
    output::print(&format!("{name} version {version} (sha256 {digest}), revision {revision}\n"))
}

fn component(args: &PushArgs) -> Result<Vec<u8>, Failure> {
    if args.path.is_dir() {
        let Built { component, .. } = build::build(&args.path)?;
        return Ok(component);
    }
    let unreadable = |source| Unreadable { path: args.path.clone(), source };
    fs::read(&args.path).map_err(unreadable).map_err(Failure::usage)
}

/// A file that comes alone has no fixtures; a folder has, or is refused.
async fn try_out(args: &PushArgs, component: &[u8]) -> Result<(), Failure> {
    let own = || args.path.is_dir().then(|| args.path.join("fixtures"));
    let Some(folder) = args.fixtures.clone().or_else(own) else { return Ok(()) };
    let tested = test::test(component, &folder).await?;
    let verdict = test::verdict(&tested);
    if verdict.is_err() {
        eprint!("{}", tested.iter().map(test::Tested::render).collect::<String>());
    }
    verdict
}

/// The request's body, which moves a bar as it goes out. The bar shows on a terminal only.
fn body(component: Bytes) -> (Body, u64) {
    let length = component.len() as u64;
    let bar = ProgressBar::new(length);
    // A template that does not parse leaves the default style.
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes}") {
        bar.set_style(style);
    }
    let steps = stream::unfold((component, bar), |(mut rest, bar)| async move {
        if rest.is_empty() {
            bar.finish_and_clear();
            return None;
        }
        let step = rest.split_to(rest.len().min(STEP));
        bar.inc(step.len() as u64);
        Some((Ok::<_, io::Error>(step), (rest, bar)))
    });
    (Body::wrap_stream(steps), length)
}

#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be read")]
struct Unreadable {
    path: PathBuf,
    source: io::Error,
}
