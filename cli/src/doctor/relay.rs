//! Checks the host of a relay: the centre, and the connection to each region.

use std::path::Path;

use async_nats::Client;
use floodgate_event::{Lane, subject};
use floodgate_relay::config::{Config, Region};
use floodgate_stream::placement::Replicas;
use floodgate_stream::{Contract, central, connect};
use futures::future::join_all;

use super::finding::{Advice, Findings};
use super::{clock, files, rights, server, space, streams};

/// Reads the configuration and checks the files that it names. None if it cannot be used.
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
            findings.ok("configuration", path.display().to_string(), format!("a relay of {regions} regions"));
            Some(config)
        }
        Err(error) => {
            let advice = Advice("The relay does not start with it.", "correct what is named");
            findings.wrong("configuration", path.display().to_string(), error.to_string(), advice);
            None
        }
    }
}

/// Checks the servers and folders that the configuration names.
pub(super) async fn check(config: &Config, findings: &mut Findings) {
    space::check("relay's state", &config.state_dir, findings);
    centre(config, findings).await;
    // All at once, because a region that cannot be reached takes long.
    for found in join_all(config.regions.iter().map(region)).await {
        findings.append(found);
    }
}

async fn centre(config: &Config, findings: &mut Findings) {
    let connection = match connect::connect("centre", &config.nats).await {
        Ok(connection) => connection,
        Err(error) => return unusable("centre", &error, findings),
    };
    let client = connection.client();
    if !server::is_reached("centre", &connection, findings).await {
        return;
    }
    clock::check("centre", client, subject::SET_ASIDE_STREAM, findings).await;
    shards(config, client, findings).await;
    let replicas = config.centre.replicas.map(Replicas::count);
    for contract in Contract::central(config.shards) {
        streams::check("centre", client, &contract, replicas, findings).await;
    }
}

/// Checks that the configuration has as many shards as the deployment.
async fn shards(config: &Config, client: &Client, findings: &mut Findings) {
    match central::shards(&connect::jetstream(client)).await {
        Ok(Some(noted)) if noted != config.shards => {
            let remedy = format!("set shards = {noted}: the number is fixed at the first start");
            let advice =
                Advice("The relay does not start with it, as nobody would read the other shards.", &remedy);
            let found = format!("{} in the configuration, {noted} in the deployment", config.shards);
            findings.wrong("shards", "centre", found, advice);
        }
        Ok(Some(noted)) => findings.ok("shards", "centre", noted.to_string()),
        Ok(None) => findings.unknown("shards", "centre", "not noted yet", "start a relay of this release"),
        Err(error) => findings.unknown("shards", "centre", error.to_string(), "see the centre's NATS"),
    }
}

async fn region(region: &Region) -> Findings {
    let mut findings = Findings::default();
    let label = region.name.as_str();
    let connection = match connect::connect(label, &region.nats).await {
        Ok(connection) => connection,
        Err(error) => {
            unusable(label, &error, &mut findings);
            return findings;
        }
    };
    let client = connection.client();
    if server::is_reached(label, &connection, &mut findings).await {
        clock::check(label, client, subject::regional_stream(Lane::Standard), &mut findings).await;
        let replicas = region.replicas.map(Replicas::count);
        for contract in Contract::regional() {
            streams::check(label, client, &contract, replicas, &mut findings).await;
        }
        rights::relay(label, client, &mut findings).await;
    }
    findings
}

fn unusable(label: &str, error: &dyn std::error::Error, findings: &mut Findings) {
    let advice = Advice("The relay cannot connect.", "correct the connection's settings");
    findings.wrong("connection", label, floodgate_event::causes::chain(error), advice);
}
