//! Checks the deployment by the admin API.

use std::time::Duration;

use floodgate_api::books::{Books, Cut};
use floodgate_api::central::Problem;
use floodgate_api::region::{Distribution, Gateway, Region};
use floodgate_event::report::RefusedSource;
use floodgate_event::{ShardCount, ShardId};
use tokio::time::sleep;

use super::finding::{Advice, Findings, State};
use super::{destinations, lag};
use crate::api::{Client, ClientError};

/// The pause between two readings of the books, if something is behind.
const READ_AGAIN: Duration = Duration::from_secs(3);
/// The subject of findings that concern no single region.
const EVERYWHERE: &str = "deployment";

/// Checks regions, health, books and destinations.
pub(super) async fn check(api: &Client, findings: &mut Findings) {
    match api.regions().await {
        Ok(regions) => revisions(&regions, findings),
        Err(error) => return unanswered(&error, findings),
    }
    // A relay of an earlier release has no such page.
    if let Ok(health) = api.health().await {
        problems(&health.problems, findings);
    }
    match books(api).await {
        Ok((first, later)) => {
            balance(&later, findings);
            lag::judge(&first, &later.cut, later.events.in_transit, findings);
        }
        Err(error) => unanswered(&error, findings),
    }
    match api.destinations().await {
        Ok(listed) => destinations::judge(&listed.items, findings),
        Err(error) => unanswered(&error, findings),
    }
}

/// Reads the books. If something is behind, reads them again, and returns the cut of the first reading too.
async fn books(api: &Client) -> Result<(Cut, Books), ClientError> {
    let books = api.books().await?.read()?;
    if !lag::is_behind(&books.cut) {
        return Ok((books.cut.clone(), books));
    }
    sleep(READ_AGAIN).await;
    Ok((books.cut, api.books().await?.read()?))
}

fn unanswered(error: &ClientError, findings: &mut Findings) {
    let advice = Advice(
        "Without a relay nothing is copied or delivered.",
        "look at the relay, and at address and token",
    );
    findings.wrong("admin API", EVERYWHERE, floodgate_event::causes::chain(error), advice);
}

fn problems(problems: &[Problem], findings: &mut Findings) {
    for Problem { check, subject, found } in problems {
        let (check, advice) = match check.as_str() {
            "central stream" => ("central stream", LOST),
            "stream" => ("stream", UNFIT),
            _ => ("health", OTHER),
        };
        findings.wrong(check, subject.clone(), found.clone(), advice);
    }
    if problems.is_empty() {
        findings.ok("health", EVERYWHERE, "the relay names no problem");
    }
}

const LOST: Advice<'static> = Advice(
    "Its shard is stopped: to continue would skip events or repeat them.",
    "restore the centre, or `floodgate accept-loss`: docs/operations.md, A stream of the centre is lost",
);
const UNFIT: Advice<'static> = Advice(
    "The region answers 503, or may lose what it acknowledged.",
    "take the setting back with nats stream edit",
);
const OTHER: Advice<'static> = Advice("The relay says so.", "see its log");

/// Checks that every shard routes by the latest revision, and that every region and gateway serves it.
fn revisions(regions: &Distribution, findings: &mut Findings) {
    let served = regions.items.iter().filter_map(|region| region.revision);
    let latest = served.fold(regions.revision, u64::max);
    regions
        .shards
        .into_iter()
        .flat_map(ShardCount::ids)
        .for_each(|shard| routing(regions, shard, latest, findings));
    for region in &regions.items {
        self::region(region, latest, findings);
        region.gateways.iter().for_each(|gateway| self::gateway(&region.name, gateway, latest, findings));
    }
}

fn routing(regions: &Distribution, shard: ShardId, latest: u64, findings: &mut Findings) {
    let routed = regions.routed.iter().find(|routed| routed.shard == shard).map(|routed| routed.revision);
    let found = match routed {
        Some(revision) if revision >= latest => return,
        Some(revision) => format!("events are matched by revision {revision}, not {latest}"),
        None => "no relay matches its events".to_owned(),
    };
    let advice = Advice(
        "Its events are delivered as the configuration was before, or not at all.",
        "wait a minute; then see the log of the relay that writes the shard",
    );
    findings.wrong("routing", format!("shard {shard}"), found, advice);
}

fn region(region: &Region, latest: u64, findings: &mut Findings) {
    let (name, before) = (region.name.as_str(), findings.len());
    let mut wrong = |found: String, why, remedy| findings.wrong("region", name, found, Advice(why, remedy));
    if !region.reachable {
        wrong(
            "out of the relay's reach".to_owned(),
            "It keeps accepting; nothing is copied from it meanwhile.",
            "look at the link, and at the region's nats-server",
        );
    } else if let Some(error) = &region.error {
        wrong(error.clone(), "Changes do not get there.", "what it says; see the relay's log");
    }
    if region.reachable && region.revision != Some(latest) {
        let found = format!("revision {}, not {latest}", region.revision.unwrap_or(0));
        wrong(
            found,
            "The regions judge the same webhook differently.",
            "wait a minute; then see the relay's log",
        );
    }
    if region.reachable && !region.gateways.iter().any(|gateway| !gateway.stale) {
        wrong(
            "no gateway reports".to_owned(),
            "Nobody accepts webhooks there.",
            "start a gateway, or look at why it does not reach its NATS",
        );
    }
    if findings.len() == before {
        findings.ok("region", name, format!("revision {latest}, {} gateways", region.gateways.len()));
    }
}

fn gateway(region: &str, gateway: &Gateway, latest: u64, findings: &mut Findings) {
    let subject = format!("{} in {region}", gateway.gateway);
    if gateway.stale {
        let advice = Advice(
            "It was stopped or hangs; a stopped one is forgotten after ten minutes.",
            "start it if it should run",
        );
        let found = format!("last reported {}", gateway.reported_at);
        return findings.add(State::Warning, "gateway", subject, found, advice);
    }
    let advice = Advice(
        "It serves an older configuration than the others.",
        "see the gateway's log: a key that does not fit, or a handler that does not compile",
    );
    match &gateway.error {
        Some(error) => findings.wrong("gateway", subject, error.clone(), advice),
        None if gateway.revision < latest => {
            let found = format!("serves revision {}, not {latest}", gateway.revision);
            findings.wrong("gateway", subject, found, advice);
        }
        None if gateway.refused.is_empty() => {
            findings.ok("gateway", subject, format!("serves revision {}", gateway.revision));
        }
        None => gateway.refused.iter().for_each(|refused| source(refused, &subject, findings)),
    }
}

fn source(refused: &RefusedSource, gateway: &str, findings: &mut Findings) {
    let RefusedSource { source, reason, as_before } = refused;
    let then = if *as_before { "serves it as it was before" } else { "its requests get 503" };
    let advice =
        Advice("The region serves all but this source as configured.", "put the source again without it");
    let subject = format!("sources.{source} of {gateway}");
    findings.wrong("source", subject, format!("{then}: {reason}"), advice);
}

fn balance(books: &Books, findings: &mut Findings) {
    let (events, deliveries) = (books.events.difference, books.deliveries.difference);
    let stored = books.events.routing_difference;
    let (state, found) = match (events, stored, deliveries, books.balanced) {
        (0, 0, 0, true) => (State::Ok, "balanced".to_owned()),
        (0, 0, 0, false) => (State::Warning, "a region cannot be asked".to_owned()),
        _ => {
            let found = format!("off by {events} events, {stored} stored events and {deliveries} deliveries");
            (State::Wrong, found)
        }
    };
    let advice = Advice(
        "Something that was accepted is in no stream any more, or was taken out behind Floodgate's back.",
        "floodgate books shows which source; compare with what was done to streams",
    );
    findings.add_judged(state, "books", EVERYWHERE, found, advice);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(regions: &str) -> Vec<(String, State)> {
        let regions: Distribution = serde_json::from_str(regions).unwrap();
        let mut findings = Findings::default();
        revisions(&regions, &mut findings);
        findings.all().iter().map(|finding| (finding.subject.clone(), finding.state)).collect()
    }

    #[test]
    fn who_serves_something_else_is_named() {
        let gateway = |name: &str, revision: u64, stale: bool| {
            format!(
                r#"{{"gateway": "{name}", "revision": {revision}, "error": null, "reported_at": "t", "stale": {stale}}}"#
            )
        };
        let region = |name: &str, revision: u64, gateways: &[String]| {
            format!(
                r#"{{"name": "{name}", "reachable": true, "revision": {revision}, "serving": null, "error": null,
                "gateways": [{}]}}"#,
                gateways.join(",")
            )
        };
        let eu = region(
            "eu",
            7,
            &[gateway("eu-1", 7, false), gateway("eu-2", 6, false), gateway("eu-3", 1, true)],
        );
        let us = region("us", 6, &[gateway("us-1", 7, true)]);
        let found = found(&format!(r#"{{"items": [{eu}, {us}]}}"#));
        let expected = [
            ("eu", State::Ok),
            ("eu-1 in eu", State::Ok),
            ("eu-2 in eu", State::Wrong),
            ("eu-3 in eu", State::Warning),
            ("us", State::Wrong),
            ("us", State::Wrong),
            ("us-1 in us", State::Warning),
        ];
        assert_eq!(found, expected.map(|(subject, state)| (subject.to_owned(), state)));
    }

    #[test]
    fn what_all_regions_lack_is_named_too() {
        let gateway = r#"{"gateway": "eu-1", "revision": 7, "error": null, "reported_at": "t", "stale": false,
            "refused": [{"source": "a", "reason": "no such key", "as_before": false}]}"#;
        let region = |revision: u64| {
            format!(
                r#"{{"name": "eu", "reachable": true, "revision": {revision}, "error": null, "gateways": [{gateway}]}}"#
            )
        };
        let text = |revision: u64| {
            let routed = r#"[{"shard": 0, "revision": 8}, {"shard": 1, "revision": 7}]"#;
            format!(
                r#"{{"revision": {revision}, "shards": 3, "routed": {routed}, "items": [{}]}}"#,
                region(revision.min(7))
            )
        };
        let wrong = |revision| {
            let found = found(&text(revision)).into_iter();
            found.filter(|(_, state)| *state == State::Wrong).map(|(subject, _)| subject).collect::<Vec<_>>()
        };
        assert_eq!(wrong(7), ["shard 2", "sources.a of eu-1 in eu"]);
        assert_eq!(wrong(8), ["shard 1", "shard 2", "eu", "eu-1 in eu"]);
    }
}
