//! Bounds of the relay's configuration, and what its settings demand of each other.

use std::collections::BTreeSet;
use std::path::Path;

use floodgate_stream::placement::Rejects;

use super::error::OutOfBounds;
use super::tables::{DAY_SECONDS, KEPT_SECONDS, LEASE_SECONDS, WINDOW_DAYS};
use super::{Config, ConfigError, Forward, REGIONS, Region};

impl Config {
    /// Checks everything that can be known without reading other files.
    pub(super) fn check(&self, path: &Path) -> Result<(), ConfigError> {
        self.check_bounds().map_err(|(key, allowed)| ConfigError::Bounds(path.into(), key, allowed))?;
        let invalid = |who: String, error| ConfigError::Nats(path.into(), who, error);
        self.nats.check().map_err(|error| invalid("the centre".to_owned(), error))?;
        for region in &self.regions {
            region.nats.check().map_err(|error| invalid(format!("region {}", region.name), error))?;
        }
        Ok(())
    }

    fn check_bounds(&self) -> Result<(), OutOfBounds> {
        let allowed = format!("{} to {}", LEASE_SECONDS.start(), LEASE_SECONDS.end());
        require(LEASE_SECONDS.contains(&self.lease.seconds), "lease.seconds", allowed)?;
        let allowed = format!("{} to {}", WINDOW_DAYS.start(), WINDOW_DAYS.end());
        require(WINDOW_DAYS.contains(&self.dedup.window_days), "dedup.window_days", allowed)?;
        self.check_history()?;
        self.check_regions()?;
        let allowed = format!("{} to {}", Forward::HELD.start(), Forward::HELD.end());
        require(Forward::HELD.contains(&self.forward.max_held), "forward.max_held", allowed)?;
        let allowed = format!("{} to {}", Rejects::DAYS.start(), Rejects::DAYS.end());
        require(Rejects::DAYS.contains(&self.rejects.kept_days), "rejects.kept_days", allowed)?;
        let allowed = format!("{} to {}", Rejects::BYTES.start(), Rejects::BYTES.end());
        require(Rejects::BYTES.contains(&self.rejects.max_bytes), "rejects.max_bytes", allowed)?;
        let allowed = format!("{} to {}", Rejects::BYTES.start(), Rejects::BYTES.end());
        require(Rejects::BYTES.contains(&self.rejects.held_max_bytes), "rejects.held_max_bytes", allowed)?;
        let command = self.handlers.check_command.as_ref();
        let is_program = command.is_none_or(|command| !command.is_empty());
        require(is_program, "handlers.check_command", "a program at least".to_owned())
    }

    fn check_history(&self) -> Result<(), OutOfBounds> {
        let (key, kept) = ("history.kept_seconds", self.history.kept_seconds);
        let most = KEPT_SECONDS.end();
        let allowed = format!("at most {most} ({} days)", most / DAY_SECONDS);
        require(KEPT_SECONDS.contains(&kept), key, allowed)?;
        // A restored region is read again as far back as it kept:
        // what the ledger has forgotten would be delivered again.
        let window = u64::from(self.dedup.window_days) * DAY_SECONDS;
        let allowed = "at most `dedup.window_days`: a restored region would deliver again what is older";
        require(kept <= window, key, allowed.to_owned())
    }

    fn check_regions(&self) -> Result<(), OutOfBounds> {
        let allowed = format!("{} to {} regions", REGIONS.start(), REGIONS.end());
        require(REGIONS.contains(&self.regions.len()), "regions", allowed)?;
        let names: BTreeSet<_> = self.regions.iter().map(|region| &region.name).collect();
        let allowed = "a name of its own for each region".to_owned();
        require(names.len() == self.regions.len(), "regions.name", allowed)?;
        self.regions.iter().try_for_each(Region::check)
    }
}

fn require(holds: bool, key: &'static str, allowed: String) -> Result<(), OutOfBounds> {
    if holds { Ok(()) } else { Err((key, allowed)) }
}
