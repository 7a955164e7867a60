//! What each region has and serves of the configuration, asked when somebody wants to know.

use std::time::{Duration, SystemTime};

use async_nats::jetstream::Context;
use async_nats::jetstream::kv;
use floodgate_event::snapshot::{GatewayReport, Snapshot};
use floodgate_event::{Name, subject, time};
use futures::StreamExt;
use serde::Serialize;
use tokio::sync::watch;

use super::view::rfc3339;

/// How long a region may take to answer before it counts as out of reach.
const ASK_TIMEOUT: Duration = Duration::from_secs(3);
/// A report that is older says nothing of what a gateway serves now; gateways report every 5 s.
const STALE_AFTER: Duration = Duration::from_secs(30);
/// The most gateways that are listed of a region.
const MAX_GATEWAYS: usize = 1_000;

/// A region, as `GET /v1/regions` shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RegionView {
    name: Name,
    reachable: bool,
    /// The revision in the region's KV bucket.
    revision: Option<u64>,
    /// The lowest revision that a gateway with a fresh report serves.
    serving: Option<u64>,
    gateways: Vec<GatewayView>,
    /// Why the region does not get the configuration.
    error: Option<String>,
}

/// A gateway, as it last reported itself.
#[derive(Clone, Debug, Serialize)]
struct GatewayView {
    gateway: String,
    revision: u64,
    error: Option<String>,
    reported_at: String,
    stale: bool,
}

/// How to ask a region.
pub(crate) struct Asker {
    pub(crate) name: Name,
    pub(crate) context: Context,
    pub(crate) failure: watch::Receiver<Option<String>>,
}

impl Asker {
    pub(crate) async fn ask(&self) -> RegionView {
        let error = self.failure.borrow().clone();
        let answer = tokio::time::timeout(ASK_TIMEOUT, self.try_ask()).await;
        let Some((revision, gateways)) = answer.ok().and_then(Result::ok) else {
            let error = error.or_else(|| Some("out of reach".to_owned()));
            let (name, gateways) = (self.name.clone(), Vec::new());
            return RegionView { name, reachable: false, revision: None, serving: None, gateways, error };
        };
        let serving = gateways.iter().filter(|gateway| !gateway.stale).map(|gateway| gateway.revision).min();
        RegionView { name: self.name.clone(), reachable: true, revision, serving, gateways, error }
    }

    async fn try_ask(&self) -> Result<(Option<u64>, Vec<GatewayView>), async_nats::Error> {
        let snapshots = self.context.get_key_value(subject::SNAPSHOT_BUCKET).await?;
        let snapshot = snapshots.get(subject::SNAPSHOT_KEY).await?;
        let revision =
            snapshot.and_then(|bytes| Snapshot::from_bytes(&bytes).ok()).map(|there| there.revision);
        let reports = reports(&self.context.get_key_value(subject::GATEWAYS_BUCKET).await?).await?;
        let now = time::unix_micros(SystemTime::now());
        Ok((revision, reports.into_iter().map(|report| GatewayView::new(report, now)).collect()))
    }
}

async fn reports(bucket: &kv::Store) -> Result<Vec<GatewayReport>, async_nats::Error> {
    let mut keys = bucket.keys().await?.take(MAX_GATEWAYS);
    let mut reports = Vec::new();
    while let Some(key) = keys.next().await {
        // A report that expired meanwhile, or that another version wrote, is not there.
        let report = bucket.get(key?).await?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        reports.extend(report);
    }
    Ok(reports)
}

impl GatewayView {
    fn new(report: GatewayReport, now_us: u64) -> Self {
        let age = Duration::from_micros(now_us.saturating_sub(report.reported_at_us));
        Self {
            gateway: report.gateway,
            revision: report.revision,
            error: report.error,
            reported_at: rfc3339(report.reported_at_us),
            stale: age > STALE_AFTER,
        }
    }
}
