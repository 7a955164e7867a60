//! Logs on stderr: lines for a person at a terminal, and JSON otherwise.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::exit::Failure;

/// The logs to write, as directives of `tracing-subscriber` such as `debug` or `info,floodgate_relay=debug`.
const VARIABLE: &str = "FLOODGATE_LOG";
/// The storage engine logs its own maintenance at `info`. TLS and HTTP/2 log a line at `warn` for each wrong
/// byte sequence that a stranger sends, however often that is.
const DEFAULT: &str = "info,lsm_tree=warn,fjall=warn,rustls=error,h2=error";

/// The default for a command that prints its findings itself.
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
