//! `floodgate handler logs`.

use std::time::Duration;

use clap::Args;
use floodgate_api::view::{Level, LogLine};
use floodgate_event::{Name, time};

use crate::api::{ApiArgs, ClientError};
use crate::exit::Failure;
use crate::output;

/// The wait before a stream that ended is begun again.
const RETRY: Duration = Duration::from_secs(1);
/// The longest line, in bytes; a handler's have 8 KiB.
const MAX_LINE: usize = 64 * 1024;

/// Arguments of `floodgate handler logs`.
#[derive(Args)]
pub(crate) struct LogsArgs {
    name: Name,
    /// Only lines of at least this weight
    #[arg(long, value_enum, default_value_t = Weight::Trace)]
    level: Weight,
    #[command(flatten)]
    api: ApiArgs,
    /// Print a JSON object per line
    #[arg(long)]
    json: bool,
}

/// The least level of the lines that are shown.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Weight {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl From<Weight> for Level {
    fn from(weight: Weight) -> Self {
        match weight {
            Weight::Trace => Self::Trace,
            Weight::Debug => Self::Debug,
            Weight::Info => Self::Info,
            Weight::Warn => Self::Warn,
            Weight::Error => Self::Error,
        }
    }
}

/// Follows until it is stopped, also across restarts of the relay.
pub(crate) async fn run(args: LogsArgs) -> Result<(), Failure> {
    let LogsArgs { name, level, api, json } = args;
    let api = api.client()?;
    let mut began = false;
    loop {
        let mut lines = match api.logs(&name, MAX_LINE).await {
            Ok(lines) => lines,
            Err(ClientError::Unreachable { .. }) if began => {
                tokio::time::sleep(RETRY).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        began = true;
        while let Some(line) = lines.next().await {
            show(&line, level.into(), json)?;
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Skips heartbeats, which say only that the connection is open, and lines that this version cannot read.
fn show(line: &[u8], least: Level, json: bool) -> Result<(), Failure> {
    let Ok(parsed) = serde_json::from_slice::<LogLine>(line) else { return Ok(()) };
    if parsed.level < least {
        return Ok(());
    }
    match json {
        true => output::json_line(&String::from_utf8_lossy(line)),
        false => output::print(&render(&parsed)),
    }
}

fn render(line: &LogLine) -> String {
    let at = ::time::OffsetDateTime::from(time::from_unix_micros(line.at_us));
    let at = at.format(&::time::format_description::well_known::Rfc3339).unwrap_or_default();
    let LogLine { region, version, event, level, message, .. } = line;
    let message = output::printable(message);
    format!("{at} {region} v{version} {event} {level:?}: {message}\n")
}
