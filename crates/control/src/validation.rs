//! Validates a change against what only the rest of the deployment knows, before it is stored: whether a
//! region's snapshot has room for it, whether gateways allow what it asks for, and whether handlers accept
//! their parameters.

mod limits;
mod parameters;

use super::change::Refused;
use super::{ChangeError, Configuration, Control, region_snapshot};

impl Control {
    /// Checks what `after` asks for and `before` does not.
    pub(super) async fn validate(
        &self,
        before: &Configuration,
        after: &Configuration,
    ) -> Result<(), ChangeError> {
        self.check_snapshot_size(after)?;
        self.check_limits(before, after).await.map_err(Refused::from)?;
        self.check_parameters(before, after).await?;
        Ok(())
    }

    /// A snapshot that does not fit its message would block every later change. It may be larger than the
    /// configuration, because each binding is resolved to a version there.
    fn check_snapshot_size(&self, after: &Configuration) -> Result<(), Refused> {
        // The regions' snapshots differ by the region's name alone.
        let regions = self.0.regions.iter().map(|region| &region.name);
        let Some(region) = regions.max_by_key(|name| name.as_str().len()) else { return Ok(()) };
        region_snapshot::check_size(after, region, self.shards())
    }
}
