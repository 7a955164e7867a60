//! Asks the regions which revision they have, and what their gateways report. Nothing is cached: each
//! question goes to the region's NATS, and a region that does not answer within 3 s counts as out of reach.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::kv::{self, Operation};
use floodgate_api::region::{Gateway, Region, SecretUsed};
use floodgate_api::time::rfc3339;
use floodgate_clock::{Clock, ClockId};
use floodgate_event::report::{GatewayReport, MAX_REFUSED, MAX_SECRETS, RefusedSource, SecretReport};
use floodgate_event::snapshot::Snapshot;
use floodgate_event::{Name, subject, time};
use futures::StreamExt;
use tokio::sync::watch;

/// How long a region may take to answer before it counts as out of reach.
const ASK_TIMEOUT: Duration = Duration::from_secs(3);
/// An older report does not say what a gateway serves now. Gateways report every 5 s.
const STALE_AFTER: Duration = Duration::from_secs(30);
/// The most gateways of a region that are read.
const MAX_GATEWAYS: usize = 1_000;

/// Asks one region over its own connection.
#[derive(Clone)]
pub(crate) struct RegionProbe {
    pub(crate) name: Name,
    pub(crate) context: Context,
    /// Why the last distribution to the region failed, if it did.
    pub(crate) failure: watch::Receiver<Option<String>>,
    pub(crate) clock: Clock,
}

/// The reports of a region's gateways.
#[derive(Clone, Debug)]
pub struct Reports {
    /// The last report of each gateway.
    pub gateways: Vec<ReceivedReport>,
}

/// A gateway's last report, with its age.
#[derive(Clone, Debug)]
pub struct ReceivedReport {
    /// The report as the gateway wrote it.
    pub report: GatewayReport,
    /// When the region's server received it, by that server's clock. Unix time in microseconds.
    pub received_at_us: u64,
    /// True if the report is more than 30 s old, or as far in the future: it does not say what the gateway
    /// serves now.
    pub stale: bool,
}

impl Reports {
    /// The lowest revision that a gateway with a fresh report serves. `None` if there is no such gateway.
    pub(crate) fn serving(&self) -> Option<u64> {
        self.fresh().map(|gateway| gateway.revision).min()
    }

    /// Returns true if every gateway with a fresh report serves these sources as its revision has them.
    pub(crate) fn serve_as_configured(&self, sources: &[Name]) -> bool {
        self.fresh().all(|gateway| sources.iter().all(|source| is_served(&gateway.refused, source)))
    }

    /// The reports of the last 30 s. A gateway with an older one may be gone.
    pub fn fresh(&self) -> impl Iterator<Item = &GatewayReport> {
        self.gateways.iter().filter(|gateway| !gateway.stale).map(|gateway| &gateway.report)
    }
}

impl RegionProbe {
    /// The region's revision and its gateways, as the admin API shows them.
    pub(crate) async fn status(&self) -> Region {
        let error = self.failure.borrow().clone();
        let answer = tokio::time::timeout(ASK_TIMEOUT, self.try_status()).await;
        let Some((revision, reports)) = answer.ok().and_then(Result::ok) else {
            let error = error.or_else(|| Some("out of reach".to_owned()));
            let (name, gateways) = (self.name.clone(), Vec::new());
            return Region { name, reachable: false, revision: None, serving: None, gateways, error };
        };
        let serving = reports.serving();
        let gateways = reports.gateways.into_iter().map(gateway).collect();
        Region { name: self.name.clone(), reachable: true, revision, serving, gateways, error }
    }

    /// The reports of the region's gateways. `None` if the region does not answer.
    pub(crate) async fn reports(&self) -> Option<Reports> {
        tokio::time::timeout(ASK_TIMEOUT, self.try_reports()).await.ok()?.ok()
    }

    async fn try_status(&self) -> Result<(Option<u64>, Reports), async_nats::Error> {
        let snapshots = self.context.get_key_value(subject::SNAPSHOT_BUCKET).await?;
        let snapshot = snapshots.get(subject::SNAPSHOT_KEY).await?;
        let revision =
            snapshot.and_then(|bytes| Snapshot::from_bytes(&bytes).ok()).map(|there| there.revision);
        Ok((revision, self.try_reports().await?))
    }

    async fn try_reports(&self) -> Result<Reports, async_nats::Error> {
        let reports = reports(&self.context.get_key_value(subject::GATEWAYS_BUCKET).await?).await?;
        // The reports' times are by this clock. A gateway's own, or this host's, may be off.
        let server = self.clock.reading_of(&ClockId::Region(self.name.clone()));
        let now = server.unwrap_or_else(|| self.clock.now_us());
        let gateways = reports
            .into_iter()
            .map(|(report, received)| ReceivedReport::new(report, received, now))
            .collect();
        Ok(Reports { gateways })
    }
}

/// Every report, with the time at which the region's server received it. The keys come from the stream's
/// description. Listing them by a consumer would leave the consumer behind for a while, and a request that
/// waits for a change asks many times a second.
async fn reports(bucket: &kv::Store) -> Result<Vec<(GatewayReport, u64)>, async_nats::Error> {
    let subjects = bucket.stream.info_with_subjects(format!("{}>", bucket.prefix)).await?;
    let mut subjects = subjects.take(MAX_GATEWAYS);
    let mut reports = Vec::new();
    while let Some(subject) = subjects.next().await {
        let (subject, _) = subject?;
        let Some(key) = subject.strip_prefix(&bucket.prefix) else { continue };
        // A report that expired meanwhile is not there.
        let Some(entry) = bucket.entry(key).await?.filter(|entry| entry.operation == Operation::Put) else {
            continue;
        };
        let received_at_us = time::unix_micros(entry.created.into());
        reports.extend(read(key, &entry.value).map(|report| (report, received_at_us)));
    }
    Ok(reports)
}

/// Returns true if a source is known not to be refused. A report lists refused sources in order, up to a
/// bound: a full one does not tell about sources after its last.
fn is_served(refused: &[RefusedSource], source: &Name) -> bool {
    let is_unlisted = refused.len() >= MAX_REFUSED && refused.last().is_none_or(|last| last.source < *source);
    !is_unlisted && refused.iter().all(|refused| refused.source != *source)
}

/// Reads a report. `None` if another version wrote it, or if it names another gateway than its key: a gateway
/// may write only its own key.
fn read(key: &str, bytes: &[u8]) -> Option<GatewayReport> {
    serde_json::from_slice(bytes).ok().filter(|report: &GatewayReport| report.gateway == key)
}

impl ReceivedReport {
    fn new(report: GatewayReport, received_at_us: u64, now_us: u64) -> Self {
        // A report from the future is stale too: the server's clock was off, and its writer may be long gone.
        let age = Duration::from_micros(now_us.abs_diff(received_at_us));
        Self { report, received_at_us, stale: age > STALE_AFTER }
    }
}

fn gateway(reported: ReceivedReport) -> Gateway {
    let ReceivedReport { report, received_at_us, stale } = reported;
    Gateway {
        gateway: report.gateway,
        revision: report.revision,
        error: report.error,
        refused: report.refused,
        secrets: report.secrets.into_iter().take(MAX_SECRETS).map(secret).collect(),
        reported_at: rfc3339(received_at_us),
        stale,
    }
}

fn secret(report: SecretReport) -> SecretUsed {
    let SecretReport { source, secret, last_used_us } = report;
    SecretUsed { source, secret, last_used_at: last_used_us.map(rfc3339) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_speaks_for_the_gateway_of_its_key_alone() {
        let text = br#"{"gateway": "eu-1", "revision": 7, "reported_at_us": 1}"#;
        assert_eq!(read("eu-1", text).map(|report| (report.revision, report.maxima)), Some((7, None)));
        assert_eq!(read("eu-2", text), None);
    }

    #[test]
    fn a_report_of_the_past_or_of_the_future_is_stale() {
        let text = br#"{"gateway": "eu-1", "revision": 7, "reported_at_us": 1}"#;
        let now = 1_780_000_000_000_000;
        let stale = |taken| ReceivedReport::new(read("eu-1", text).unwrap(), taken, now).stale;
        let (some, most) = (5_000_000, 86_400_000_000);
        assert!(!stale(now) && !stale(now - some) && !stale(now + some));
        assert!(stale(now - most) && stale(now + most));
    }

    #[test]
    fn a_report_that_is_full_says_nothing_of_what_comes_after() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let refused = |count: usize| {
            let source = |number: usize| name(&format!("m{number:03}"));
            let one =
                |number| RefusedSource { source: source(number), reason: "no".to_owned(), as_before: true };
            (0..count).map(one).collect::<Vec<_>>()
        };
        let some = refused(MAX_REFUSED - 1);
        assert!(
            is_served(&[], &name("z")) && is_served(&some, &name("z")) && !is_served(&some, &name("m001"))
        );
        let full = refused(MAX_REFUSED);
        assert!(!is_served(&full, &name("z")) && is_served(&full, &name("a")));
    }
}
