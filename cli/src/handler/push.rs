//! `floodgate handler push`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use floodgate_api::view::Uploaded;
use floodgate_event::Name;
use floodgate_event::source::HandlerLimits;
use floodgate_toolchain::project::Project;
use floodgate_toolchain::test as fixtures;
use futures::stream;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Body;

use super::build::build;
use super::test;
use crate::api::ApiArgs;
use crate::exit::Failure;
use crate::output;

/// How long an upload may take: the relay checks the component within a minute, after those before it.
const TIMEOUT: Duration = Duration::from_secs(180);
/// Bytes of a step of the progress bar.
const STEP: usize = 64 * 1024;

/// Arguments of `floodgate handler push`.
#[derive(Args)]
pub(crate) struct PushArgs {
    /// The handler's folder, which is built and tested first, or a component
    #[arg(default_value = ".", value_name = "PATH|FILE.wasm")]
    path: PathBuf,
    /// The name that sources bind it by; that in handler.toml if left out
    #[arg(long)]
    name: Option<Name>,
    /// The folder of fixtures; `fixtures` in the handler's folder if left out
    #[arg(long, value_name = "DIR")]
    fixtures: Option<PathBuf>,
    #[command(flatten)]
    api: ApiArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A component with the name that it is uploaded under.
struct Upload {
    name: Name,
    component: Vec<u8>,
    /// None of a component without a folder. A folder without fixtures is refused.
    fixtures: Option<PathBuf>,
    limits: HandlerLimits,
}

pub(crate) async fn run(args: PushArgs) -> Result<(), Failure> {
    let api = args.api.client()?;
    let upload = Upload::make(&args.path, args.name, args.fixtures)?;
    upload.try_out().await?;
    let Upload { name, component, .. } = upload;
    let uploaded = api.upload(&name, body(component.into()), TIMEOUT).await?;
    if args.json {
        return output::print_json(&uploaded);
    }
    let Uploaded { name, version, digest, revision } = uploaded;
    output::print(&format!("{name} version {version} (sha256 {digest}), revision {revision}\n"))
}

impl Upload {
    fn make(path: &Path, name: Option<Name>, fixtures: Option<PathBuf>) -> Result<Self, Failure> {
        if !path.is_dir() {
            let unreadable = |source| Failure::usage(Unreadable { path: path.to_owned(), source });
            let component = fs::read(path).map_err(unreadable)?;
            let name = name.ok_or_else(|| nameless(path))?;
            return Ok(Self { name, component, fixtures, limits: HandlerLimits::default() });
        }
        let project = Project::open(path)?;
        let name = name.or_else(|| project.name().cloned()).ok_or_else(|| nameless(path))?;
        let fixtures = fixtures.unwrap_or_else(|| project.fixtures());
        let component = build(&project)?.component;
        Ok(Self { name, component, fixtures: Some(fixtures), limits: project.limits() })
    }

    async fn try_out(&self) -> Result<(), Failure> {
        let Some(folder) = &self.fixtures else { return Ok(()) };
        let results = fixtures::test(&self.component, folder, self.limits).await?;
        let verdict = test::verdict(&results);
        if verdict.is_err() {
            eprint!("{}", output::lines(&test::render(&results)));
        }
        verdict
    }
}

fn nameless(path: &Path) -> Failure {
    Failure::usage(format!("{}: no handler.toml that names the handler; give --name", path.display()))
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
#[error("{} cannot be read", path.display())]
struct Unreadable {
    path: PathBuf,
    source: io::Error,
}
