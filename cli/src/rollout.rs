//! Waits until a revision is in force: every shard routes by it, and regions serve it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use floodgate_api::region::{Distribution, Gateway, Region, RoutedShard};
use floodgate_event::{ShardCount, ShardId};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::api::{Client, ClientError};
use crate::output::printable;

/// How long to wait for regions that can be reached. A gateway compiles what it binds first, and an
/// interpreter of JavaScript or Python takes a small machine with several gateways most of a minute.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long to wait for shards. A takeover takes a lease's length and the time that the new writer needs to
/// read.
const ROUTING_PATIENCE: Duration = Duration::from_secs(60);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(250);

/// How far a revision has got.
#[derive(Debug, Serialize)]
pub(crate) struct Progress {
    pub(crate) regions: Vec<Rollout>,
    pub(crate) routing: Routing,
}

/// The revisions by which events are matched.
#[derive(Debug, Serialize)]
pub(crate) struct Routing {
    /// None if a relay of an earlier release does not say how many there are.
    shards: Option<ShardCount>,
    /// The shards that do not route by the revision yet, with the revision that they route by.
    late: BTreeMap<ShardId, Option<u64>>,
}

/// How far a region has got.
#[derive(Debug, Serialize)]
pub(crate) struct Rollout {
    name: String,
    state: State,
    /// Why the region does not serve the revision, if that is known.
    reason: Option<String>,
    /// The sources that it does not serve as the revision has them.
    refused: Vec<Refused>,
}

/// A source that a gateway does not serve as it is configured.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Refused {
    gateway: String,
    source: String,
    reason: String,
    as_before: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Serves,
    Late,
    /// The region gets the revision when it can be reached again.
    Unreachable,
}

/// Waits until every shard routes by `revision` and each region that can be reached serves it. Prints to
/// stderr what a gateway refuses as soon as that is known.
pub(crate) async fn wait(api: &Client, revision: u64) -> Result<Progress, ClientError> {
    let mut printed = BTreeSet::new();
    let began = Instant::now();
    loop {
        let progress = look(api, revision).await?;
        for line in progress.regions.iter().flat_map(|region| region.troubles(revision)) {
            if printed.insert(line.clone()) {
                eprintln!("{}", crate::output::lines(&line));
            }
        }
        let regions_late = progress.regions.iter().any(Rollout::is_late) && began.elapsed() < PATIENCE;
        let routing_late = progress.routing.is_late() && began.elapsed() < ROUTING_PATIENCE;
        if !regions_late && !routing_late {
            return Ok(progress);
        }
        sleep(PAUSE).await;
    }
}

/// Waits until every shard routes by `revision`, whatever regions serve.
pub(crate) async fn wait_routed(api: &Client, revision: u64) -> Result<Routing, ClientError> {
    let deadline = Instant::now() + ROUTING_PATIENCE;
    loop {
        let routing = look(api, revision).await?.routing;
        if !routing.is_late() || Instant::now() >= deadline {
            return Ok(routing);
        }
        sleep(PAUSE).await;
    }
}

async fn look(api: &Client, revision: u64) -> Result<Progress, ClientError> {
    let Distribution { shards, routed, items, .. } = api.regions().await?;
    let regions = items.into_iter().map(|region| rollout(region, revision)).collect();
    Ok(Progress { regions, routing: Routing::new(shards, &routed, revision) })
}

impl Progress {
    /// Writes the result as text.
    pub(crate) fn render(&self, revision: u64) -> String {
        let regions: String = self.regions.iter().map(|region| region.render(revision)).collect();
        format!("{}{regions}", self.routing.render(revision))
    }

    /// Returns what is wrong, in one line, or none if the revision is in force wherever it can be. Of the
    /// sources that gateways refuse, only those that are `meant` count.
    pub(crate) fn shortfall(&self, revision: u64, meant: impl Fn(&str) -> bool) -> Option<String> {
        let late = self.regions.iter().filter(|region| region.is_late()).count();
        let refused = self.regions.iter().flat_map(|region| &region.refused);
        let refused: BTreeSet<_> = refused.filter(|no| meant(&no.source)).map(|no| &*no.source).collect();
        if self.routing.is_late() {
            let late = self.routing.late.len();
            return Some(format!("{late} shard(s) do not route by revision {revision} yet"));
        }
        if late > 0 {
            return Some(format!("{late} region(s) do not serve revision {revision} yet"));
        }
        let names: Vec<_> = refused.into_iter().collect();
        (!names.is_empty()).then(|| format!("not served as configured: sources.{}", names.join(", sources.")))
    }
}

impl Routing {
    fn new(shards: Option<ShardCount>, routed: &[RoutedShard], revision: u64) -> Self {
        let at = |shard| routed.iter().find(|routed| routed.shard == shard).map(|routed| routed.revision);
        let late = shards.into_iter().flat_map(ShardCount::ids).map(|shard| (shard, at(shard)));
        Self { shards, late: late.filter(|(_, at)| at.is_none_or(|at| at < revision)).collect() }
    }

    /// Returns true if a shard does not route by the revision yet.
    pub(crate) fn is_late(&self) -> bool {
        !self.late.is_empty()
    }

    fn render(&self, revision: u64) -> String {
        if !self.is_late() {
            let several = self.shards.filter(|&shards| shards > ShardCount::ONE);
            let shards = several.map(|shards| format!(", {shards} shards")).unwrap_or_default();
            return format!("routes: revision {revision}{shards}\n");
        }
        let line = |(shard, at): (&ShardId, &Option<u64>)| match at {
            Some(at) => format!("shard {shard} does NOT route by revision {revision} yet, but by {at}\n"),
            None => format!("shard {shard} does NOT route by revision {revision} yet: no relay writes it\n"),
        };
        self.late.iter().map(line).collect()
    }
}

impl Rollout {
    /// Returns true if the region could serve the revision and does not.
    pub(crate) fn is_late(&self) -> bool {
        self.state == State::Late
    }

    fn render(&self, revision: u64) -> String {
        let Self { name, state, reason, .. } = self;
        let reason = reason.as_ref().map(|reason| format!(": {}", printable(reason))).unwrap_or_default();
        match state {
            State::Serves => format!("{name} serves revision {revision}\n"),
            State::Late => format!("{name} does NOT serve revision {revision} yet{reason}\n"),
            State::Unreachable => format!("{name} gets revision {revision} once it can be reached{reason}\n"),
        }
    }

    /// Returns what an operator should know before the wait is over.
    fn troubles(&self, revision: u64) -> Vec<String> {
        let name = &self.name;
        let refused = self.refused.iter().map(|Refused { gateway, source, reason, as_before }| {
            let then = if *as_before { "it serves it as it was before" } else { "its requests get 503" };
            format!("{name}, {gateway}: does not serve sources.{source} as configured, {then}: {reason}")
        });
        let refusal = self.reason.iter().filter(|_| self.is_late());
        let refusal = refusal.map(|reason| format!("{name}: not yet at revision {revision}: {reason}"));
        refused.chain(refusal).collect()
    }
}

fn rollout(region: Region, revision: u64) -> Rollout {
    let state = match (region.reachable, region.serving) {
        (false, _) => State::Unreachable,
        (true, Some(serving)) if serving >= revision => State::Serves,
        (true, _) => State::Late,
    };
    let reason = if state == State::Serves { None } else { reason(&region) };
    let refused = if state == State::Serves { refused(&region) } else { Vec::new() };
    Rollout { name: region.name.to_string(), state, reason, refused }
}

fn reason(region: &Region) -> Option<String> {
    let of_gateway = |gateway: &Gateway| Some(format!("{}: {}", gateway.gateway, gateway.error.as_ref()?));
    let nobody =
        || (region.reachable && live(region).next().is_none()).then(|| "no gateway reports".to_owned());
    region.error.clone().or_else(|| live(region).find_map(of_gateway)).or_else(nobody)
}

fn live(region: &Region) -> impl Iterator<Item = &Gateway> {
    region.gateways.iter().filter(|gateway| !gateway.stale)
}

fn refused(region: &Region) -> Vec<Refused> {
    let of_gateway = |gateway: &Gateway| {
        let name = gateway.gateway.clone();
        let refused = gateway.refused.iter().map(move |refused| Refused {
            gateway: name.clone(),
            source: refused.source.to_string(),
            reason: refused.reason.clone(),
            as_before: refused.as_before,
        });
        refused.collect::<Vec<_>>()
    };
    live(region).flat_map(of_gateway).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout(region: &str) -> Rollout {
        super::rollout(serde_json::from_str(region).unwrap(), 7)
    }

    fn progress(routed: &[(u32, u64)], region: &str) -> Progress {
        let routed: Vec<_> = routed
            .iter()
            .map(|&(shard, revision)| RoutedShard {
                shard: ShardId::new(shard),
                revision,
                relay: String::new(),
            })
            .collect();
        Progress { regions: vec![rollout(region)], routing: Routing::new(ShardCount::new(2), &routed, 7) }
    }

    const SERVES: &str = r#"{"name": "eu", "reachable": true, "serving": 7, "gateways": [], "error": null}"#;

    #[test]
    fn a_region_serves_once_its_slowest_gateway_does() {
        assert_eq!(rollout(SERVES).state, State::Serves);
        let late = rollout(
            r#"{"name": "eu", "reachable": true, "serving": 6, "error": null,
                "gateways": [{"gateway": "eu-1", "stale": false, "error": "no memory"}]}"#,
        );
        assert_eq!((late.state, late.reason.as_deref()), (State::Late, Some("eu-1: no memory")));
        assert_eq!(late.troubles(7), ["eu: not yet at revision 7: eu-1: no memory"]);
    }

    #[test]
    fn silence_is_not_service() {
        let silent = rollout(
            r#"{"name": "eu", "reachable": true, "serving": null, "error": null,
                "gateways": [{"gateway": "eu-1", "stale": true, "error": null}]}"#,
        );
        assert_eq!((silent.state, silent.reason.as_deref()), (State::Late, Some("no gateway reports")));
        let away =
            rollout(r#"{"name": "us", "reachable": false, "serving": null, "gateways": [], "error": "x"}"#);
        assert_eq!(away.state, State::Unreachable);
    }

    #[test]
    fn a_shard_that_routes_by_less_or_by_nobody_is_late() {
        assert_eq!(progress(&[(0, 7), (1, 9)], SERVES).shortfall(7, |_| true), None);
        let behind = progress(&[(0, 7), (1, 6)], SERVES);
        assert_eq!(behind.shortfall(7, |_| true).unwrap(), "1 shard(s) do not route by revision 7 yet");
        assert!(behind.render(7).starts_with("shard 1 does NOT route by revision 7 yet, but by 6\n"));
        assert!(progress(&[(0, 7)], SERVES).routing.is_late());
    }

    #[test]
    fn what_a_gateway_refuses_is_named() {
        let region = r#"{"name": "eu", "reachable": true, "serving": 7, "error": null, "gateways": [{"gateway": "eu-1",
            "stale": false, "error": null, "refused": [{"source": "a", "reason": "too slow", "as_before": true}]}]}"#;
        let progress = progress(&[(0, 7), (1, 7)], region);
        let troubles = progress.regions[0].troubles(7);
        assert_eq!(
            troubles,
            ["eu, eu-1: does not serve sources.a as configured, it serves it as it was before: too slow"]
        );
        assert_eq!(progress.shortfall(7, |_| true).unwrap(), "not served as configured: sources.a");
        assert_eq!(progress.shortfall(7, |name| name != "a"), None, "somebody else's");
    }
}
