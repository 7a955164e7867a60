//! What each region has and serves of the configuration, asked when somebody wants to know.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::kv::{self, Operation};
use floodgate_api::region::{Gateway, Region};
use floodgate_clock::{Clock, Who};
use floodgate_event::report::{GatewayReport, MAX_REFUSED, RefusedSource};
use floodgate_event::snapshot::Snapshot;
use floodgate_event::{Name, subject, time};
use futures::StreamExt;
use tokio::sync::watch;

use super::view::rfc3339;

/// How long a region may take to answer before it counts as out of reach.
const ASK_TIMEOUT: Duration = Duration::from_secs(3);
/// A report that is older says nothing of what a gateway serves now; gateways report every 5 s.
const STALE_AFTER: Duration = Duration::from_secs(30);
/// The most gateways that are listed of a region.
const MAX_GATEWAYS: usize = 1_000;

/// How to ask a region.
#[derive(Clone)]
pub(crate) struct Asker {
    pub name: Name,
    pub context: Context,
    pub failure: watch::Receiver<Option<String>>,
    pub clock: Clock,
}

/// What a region's gateways report of themselves.
#[derive(Clone, Debug)]
pub struct Reports {
    /// The last report of each gateway.
    pub gateways: Vec<Reported>,
}

/// A gateway's last report.
#[derive(Clone, Debug)]
pub struct Reported {
    pub report: GatewayReport,
    /// When the region's server took it, by that server's clock: Unix time in microseconds.
    pub taken_at_us: u64,
    /// Too old to say what the gateway does now.
    pub stale: bool,
}

impl Reports {
    /// The lowest revision that a gateway with a fresh report serves; none if there is no such gateway.
    pub fn serving(&self) -> Option<u64> {
        self.fresh().map(|gateway| gateway.revision).min()
    }

    /// Whether every gateway with a fresh report serves these sources as its revision has them.
    pub fn serve_as_configured(&self, sources: &[Name]) -> bool {
        self.fresh().all(|gateway| sources.iter().all(|source| is_served(&gateway.refused, source)))
    }

    /// The reports that are not stale.
    pub fn fresh(&self) -> impl Iterator<Item = &GatewayReport> {
        self.gateways.iter().filter(|gateway| !gateway.stale).map(|gateway| &gateway.report)
    }
}

impl Asker {
    pub(crate) async fn ask(&self) -> Region {
        let error = self.failure.borrow().clone();
        let answer = tokio::time::timeout(ASK_TIMEOUT, self.try_ask()).await;
        let Some((revision, reports)) = answer.ok().and_then(Result::ok) else {
            let error = error.or_else(|| Some("out of reach".to_owned()));
            let (name, gateways) = (self.name.clone(), Vec::new());
            return Region { name, reachable: false, revision: None, serving: None, gateways, error };
        };
        let serving = reports.serving();
        let gateways = reports.gateways.into_iter().map(gateway).collect();
        Region { name: self.name.clone(), reachable: true, revision, serving, gateways, error }
    }

    /// What the region's gateways report; none if it does not answer.
    pub(crate) async fn reports(&self) -> Option<Reports> {
        tokio::time::timeout(ASK_TIMEOUT, self.try_reports()).await.ok()?.ok()
    }

    async fn try_ask(&self) -> Result<(Option<u64>, Reports), async_nats::Error> {
        let snapshots = self.context.get_key_value(subject::SNAPSHOT_BUCKET).await?;
        let snapshot = snapshots.get(subject::SNAPSHOT_KEY).await?;
        let revision =
            snapshot.and_then(|bytes| Snapshot::from_bytes(&bytes).ok()).map(|there| there.revision);
        Ok((revision, self.try_reports().await?))
    }

    async fn try_reports(&self) -> Result<Reports, async_nats::Error> {
        let reports = reports(&self.context.get_key_value(subject::GATEWAYS_BUCKET).await?).await?;
        // By the same clock as the reports' times: a gateway's own, or this host's, may be off.
        let server = self.clock.shown_by(&Who::Region(self.name.clone()));
        let now = server.unwrap_or_else(|| self.clock.now_us());
        let gateways = reports.into_iter().map(|(report, taken)| Reported::new(report, taken, now)).collect();
        Ok(Reports { gateways })
    }
}

/// Every report, with when the region's server took it. Keys are listed by the stream's own description.
/// A listing by a consumer would leave that behind for a while, and those who wait for a change look many
/// times a second.
async fn reports(bucket: &kv::Store) -> Result<Vec<(GatewayReport, u64)>, async_nats::Error> {
    let subjects = bucket.stream.info_with_subjects(format!("{}>", bucket.prefix)).await?;
    let mut subjects = subjects.take(MAX_GATEWAYS);
    let mut reports = Vec::new();
    while let Some(subject) = subjects.next().await {
        let (subject, _) = subject?;
        let Some(key) = subject.strip_prefix(&bucket.prefix) else { continue };
        // One that expired meanwhile is not there.
        let Some(entry) = bucket.entry(key).await?.filter(|entry| entry.operation == Operation::Put) else {
            continue;
        };
        let taken_at_us = time::unix_micros(entry.created.into());
        reports.extend(read(key, &entry.value).map(|report| (report, taken_at_us)));
    }
    Ok(reports)
}

/// Whether a source is not refused. A report names those that are in their order, and the first only:
/// of what comes after the last that it has room for, it says nothing.
fn is_served(refused: &[RefusedSource], source: &Name) -> bool {
    let says_nothing =
        refused.len() >= MAX_REFUSED && refused.last().is_none_or(|last| last.source < *source);
    !says_nothing && refused.iter().all(|refused| refused.source != *source)
}

/// A report, unless another version wrote it, or it speaks for another gateway than its key:
/// a gateway may write its own key alone.
fn read(key: &str, bytes: &[u8]) -> Option<GatewayReport> {
    serde_json::from_slice(bytes).ok().filter(|report: &GatewayReport| report.gateway == key)
}

impl Reported {
    fn new(report: GatewayReport, taken_at_us: u64, now_us: u64) -> Self {
        // One of the future is as wrong: the server's clock was off, and who wrote it may be long gone.
        let age = Duration::from_micros(now_us.abs_diff(taken_at_us));
        Self { report, taken_at_us, stale: age > STALE_AFTER }
    }
}

fn gateway(reported: Reported) -> Gateway {
    let Reported { report, taken_at_us, stale } = reported;
    Gateway {
        gateway: report.gateway,
        revision: report.revision,
        error: report.error,
        refused: report.refused,
        reported_at: rfc3339(taken_at_us),
        stale,
    }
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
        let stale = |taken| Reported::new(read("eu-1", text).unwrap(), taken, now).stale;
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
