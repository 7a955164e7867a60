//! Logs on stderr: lines for a person at a terminal, JSON for everything else.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::exit::Failure;

/// Which logs to write, in `tracing-subscriber`'s directives, such as `debug` or
/// `info,floodgate_relay=debug`.
const VARIABLE: &str = "FLOODGATE_LOG";
/// The storage engine speaks of its own upkeep at `info`. TLS and HTTP/2 have a line at `warn` for what a
/// stranger sends wrongly, as often as it is sent.
const DEFAULT: &str = "info,lsm_tree=warn,fjall=warn,rustls=error,h2=error";

/// For a command that says itself what it finds.
const QUIET: &str = "off";

/// Installs the process's subscriber. A quiet command logs only what `FLOODGATE_LOG` asks for.
///
/// # Errors
/// If `FLOODGATE_LOG` cannot be read.
pub(crate) fn install(quiet: bool) -> Result<(), Failure> {
    let default = if quiet { QUIET } else { DEFAULT };
    let directives = std::env::var(VARIABLE).unwrap_or_else(|_| default.to_owned());
    let filter = EnvFilter::try_new(&directives).map_err(|source| InvalidFilter { directives, source });
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter.map_err(Failure::usage)?)
        .with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        builder.init();
    } else {
        builder.json().flatten_event(true).init();
    }
    Ok(())
}

#[derive(Debug, thiserror::Error)]
#[error("{VARIABLE}={directives}")]
struct InvalidFilter {
    directives: String,
    source: tracing_subscriber::filter::ParseError,
}
