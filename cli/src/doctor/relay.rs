//! A relay's host: the centre, and the link to each region.

use std::path::Path;

use floodgate_event::{Lane, subject};
use floodgate_relay::config::{Config, Region, Replicas};
use floodgate_relay::nats;
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
    let link = match nats::connect("centre", &config.nats).await {
        Ok(link) => link,
        Err(error) => return unusable("centre", &error, findings),
    };
    let client = link.client();
    if !server::is_reached("centre", &link, findings).await {
        return;
    }
    clock::check("centre", client, subject::SET_ASIDE_STREAM, findings).await;
    let wants = Wants { window: None, replicas: config.centre.replicas.map(Replicas::count) };
    let shards =
        (0..config.shards).flat_map(|shard| [subject::log_stream(shard), subject::journal_stream(shard)]);
    for stream in shards.chain([subject::SET_ASIDE_STREAM.to_owned()]) {
        streams::check("centre", client, &stream, wants, findings).await;
    }
}

async fn region(region: &Region) -> Findings {
    let mut findings = Findings::default();
    let label = region.name.as_str();
    let link = match nats::connect(label, &region.nats).await {
        Ok(link) => link,
        Err(error) => {
            unusable(label, &error, &mut findings);
            return findings;
        }
    };
    let client = link.client();
    if server::is_reached(label, &link, &mut findings).await {
        clock::check(label, client, subject::regional_stream(Lane::Standard), &mut findings).await;
        let wants = Wants { window: None, replicas: region.replicas.map(Replicas::count) };
        for lane in Lane::ALL {
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
