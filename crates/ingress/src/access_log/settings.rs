//! The `[access_log]` table: which requests get a line.

use std::fmt;
use std::io::{Write, stdout};

use schemars::JsonSchema;
use serde::Deserialize;

/// The most that requests are thinned out.
const MAX_ONE_IN: u32 = 1_000_000_000;
/// The most lines in a second.
const MAX_LINES: u32 = 100_000;

/// Which requests get a line in the access log. None by default.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccessLogSettings {
    /// One of how many requests that were not refused gets a line, chosen at random. 1 is all of them, 0 is
    /// none.
    #[schemars(range(max = MAX_ONE_IN))]
    pub success_one_in: u32,
    /// One of how many requests that were refused (status 400 and above) gets a line, chosen at random. 1 is
    /// all of them, 0 is none.
    #[schemars(range(max = MAX_ONE_IN))]
    pub refusal_one_in: u32,
    /// The most lines in a second. `floodgate_access_log_left_out_total` counts those that are left out, also
    /// because nobody reads the output.
    #[schemars(range(min = 1, max = MAX_LINES))]
    pub lines_per_second: u32,
}

impl Default for AccessLogSettings {
    fn default() -> Self {
        Self { success_one_in: 0, refusal_one_in: 0, lines_per_second: 100 }
    }
}

impl AccessLogSettings {
    /// Checks each setting against its bounds.
    ///
    /// # Errors
    /// The name of a setting, and what is allowed.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let one_in = |key, value: u32| match value <= MAX_ONE_IN {
            true => Ok(()),
            false => Err((key, format!("expected 0 to {MAX_ONE_IN}"))),
        };
        one_in("access_log.success_one_in", self.success_one_in)?;
        one_in("access_log.refusal_one_in", self.refusal_one_in)?;
        match (1..=MAX_LINES).contains(&self.lines_per_second) {
            true => Ok(()),
            false => Err(("access_log.lines_per_second", format!("expected 1 to {MAX_LINES}"))),
        }
    }
}

/// Where the lines of an access log go.
pub struct AccessOutput(pub Box<dyn Write + Send>);

impl Default for AccessOutput {
    fn default() -> Self {
        Self(Box::new(stdout()))
    }
}

impl fmt::Debug for AccessOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessOutput")
    }
}
