//! A relay's host: the centre, and the link to each region.

use std::path::Path;

use async_nats::Client;
use floodgate_event::{Lane, subject};
use floodgate_relay::config::{Config, Region};
use floodgate_stream::fitness::Needs;
use floodgate_stream::placement::Replicas;
use floodgate_stream::{central, connect};
use futures::future::join_all;

use super::finding::{Advice, Findings};
use super::streams::{self, Wants};
use super::{clock, files, rights, server, space};

/// Reads the configuration and looks at the files that it names; none if it cannot be used.
pub(super) fn load(path: &Path, findings: &mut Findings) -> Option<Config> {
    files::check(path, path.parent().unwrap_or(Path::new(".")), findings);
    let loaded = Config::load(path).and_then(|config| {
        config.opening_key()?;
        config.admin_token()?;
        config.regions.iter().try_for_each(|region| region.sealing_key().map(drop))?;
        Ok(config)
    });
    match loaded {
        Ok(config) => {
            let regions = config.regions.len();
            findings.well(
                "configuration",
                path.display().to_string(),
                format!("a relay of {regions} regions"),
            );
            Some(config)
        }
        Err(error) => {
            let advice = Advice("The relay does not start with it.", "correct what is named");
            findings.wrong_is("configuration", path.display().to_string(), error.to_string(), advice);
            None
        }
    }
}

/// Looks at what it names.
pub(super) async fn check(config: &Config, findings: &mut Findings) {
    space::check("relay's state", &config.state_dir, findings);
    centre(config, findings).await;
    // Side by side: one that is out of reach takes its time.
    for found in join_all(config.regions.iter().map(region)).await {
        findings.append(found);
    }
}

async fn centre(config: &Config, findings: &mut Findings) {
    let link = match connect::connect("centre", &config.nats).await {
        Ok(link) => link,
        Err(error) => return unusable("centre", &error, findings),
    };
    let client = link.client();
    if !server::is_reached("centre", &link, findings).await {
        return;
    }
    clock::check("centre", client, subject::SET_ASIDE_STREAM, findings).await;
    shards(config, client, findings).await;
    let replicas = config.centre.replicas.map(Replicas::count);
    let of_shard = |shard| {
        [
            (subject::log_stream(shard), subject::log_wildcard(shard)),
            (subject::journal_stream(shard), subject::journal_wildcard(shard)),
        ]
    };
    let set_aside = (subject::SET_ASIDE_STREAM.to_owned(), subject::SET_ASIDE_WILDCARD.to_owned());
    for (stream, subjects) in (0..config.shards).flat_map(of_shard).chain([set_aside]) {
        let wants = Wants { needs: needs(&subjects, true), replicas };
        streams::check("centre", client, &stream, wants, findings).await;
    }
}

/// Whether the configuration has as many shards as the deployment.
async fn shards(config: &Config, client: &Client, findings: &mut Findings) {
    match central::shards(&connect::jetstream(client)).await {
        Ok(Some(noted)) if noted != config.shards => {
            let remedy = format!("set shards = {noted}: the number is fixed at the first start");
            let advice =
                Advice("The relay does not start with it, as nobody would read the other shards.", &remedy);
            let found = format!("{} in the configuration, {noted} in the deployment", config.shards);
            findings.wrong_is("shards", "centre", found, advice);
        }
        Ok(Some(noted)) => findings.well("shards", "centre", noted.to_string()),
        Ok(None) => findings.unknown("shards", "centre", "not noted yet", "start a relay of this release"),
        Err(error) => findings.unknown("shards", "centre", error.to_string(), "see the centre's NATS"),
    }
}

fn needs(subjects: &str, direct: bool) -> Needs<'_> {
    Needs { subjects, message_bytes: server::LEAST_PAYLOAD, window: None, direct }
}

async fn region(region: &Region) -> Findings {
    let mut findings = Findings::default();
    let label = region.name.as_str();
    let link = match connect::connect(label, &region.nats).await {
        Ok(link) => link,
        Err(error) => {
            unusable(label, &error, &mut findings);
            return findings;
        }
    };
    let client = link.client();
    if server::is_reached(label, &link, &mut findings).await {
        clock::check(label, client, subject::regional_stream(Lane::Standard), &mut findings).await;
        let replicas = region.replicas.map(Replicas::count);
        for lane in Lane::ALL {
            let subjects = subject::regional_wildcard(lane);
            let wants = Wants { needs: needs(&subjects, false), replicas };
            streams::check(label, client, subject::regional_stream(lane), wants, &mut findings).await;
        }
        rights::relay(label, client, &mut findings).await;
    }
    findings
}

fn unusable(label: &str, error: &dyn std::error::Error, findings: &mut Findings) {
    let advice = Advice("The relay cannot connect.", "correct the connection's settings");
    findings.wrong_is("connection", label, floodgate_event::causes::chain(error), advice);
}
