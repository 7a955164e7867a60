//! A second relay beside the one that `floodgate dev` started, and who of the two writes.

use std::time::Duration;

use floodgate_testkit::{Result, Scene, wait};

pub(crate) use floodgate_testkit::relay::SecondRelay;

/// A takeover takes the lease's 5 s, and what it takes to get level.
pub(crate) const TAKEOVER_LIMIT: Duration = Duration::from_secs(60);

pub(crate) async fn wait_holder(scene: &Scene, relay: &str) -> Result<()> {
    let leases = scene.deployment.centre_nats().await?.get_key_value("floodgate_lease").await?;
    wait::until(format!("{relay} to hold the lease"), TAKEOVER_LIMIT, async || {
        let Some(record) = leases.get("shard.0").await? else {
            return Ok(None);
        };
        let record: serde_json::Value = serde_json::from_slice(&record)?;
        Ok((record["holder"] == relay).then_some(()))
    })
    .await
}
