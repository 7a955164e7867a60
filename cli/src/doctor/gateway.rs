//! Checks the host of a gateway.

use std::path::Path;

use async_nats::Client;
use floodgate_event::seal::{KeyId, SealingKey};
use floodgate_event::snapshot::Snapshot;
use floodgate_event::{Lane, Name, subject};
use floodgate_gateway::config::Config;
use floodgate_stream::Contract;

use super::finding::{Advice, Findings, State};
use super::{clock, files, rights, server, space, streams};

/// Reads the configuration and checks the files that it names. None if it cannot be used.
pub(super) fn load(path: &Path, findings: &mut Findings) -> Option<Config> {
    files::check(path, path.parent().unwrap_or(Path::new(".")), findings);
    match Config::load(path) {
        Ok(config) => {
            findings.ok(
                "configuration",
                path.display().to_string(),
                format!("a gateway of {}", config.region),
            );
            Some(config)
        }
        Err(error) => {
            let advice = Advice("The gateway does not start with it.", "correct what is named");
            findings.wrong("configuration", path.display().to_string(), error.to_string(), advice);
            None
        }
    }
}

/// Checks the cache folder, the NATS and the rights that the configuration gives the gateway.
pub(super) async fn check(config: &Config, findings: &mut Findings) {
    if let Some(folder) = &config.handlers.cache_dir {
        space::check("handlers' cache", folder, findings);
    }
    let label = config.region.as_str();
    let connection = match floodgate_gateway::connect(&config.nats, "floodgate-doctor").await {
        Ok(connection) => connection,
        Err(error) => {
            let advice = Advice("The gateway cannot connect.", "correct the connection's settings");
            return findings.wrong("connection", label, error.to_string(), advice);
        }
    };
    let client = connection.client();
    if !server::is_reached(label, &connection, findings).await {
        return;
    }
    clock::check(label, client, subject::regional_stream(Lane::Standard), findings).await;
    for contract in Contract::regional() {
        let contract = contract.with_publish_timeout(config.limits.publish_timeout());
        streams::check(label, client, &contract, None, findings).await;
    }
    key(config, client, findings).await;
    rights::gateway(&config.gateway, client, findings).await;
}

/// Checks that this gateway can open what the centre seals for its region.
async fn key(config: &Config, client: &Client, findings: &mut Findings) {
    let Some(snapshot) = snapshot(client).await else {
        let advice = Advice(
            "Without a configuration the region serves nothing.",
            "start the relay; `floodgate doctor` in the centre says why it does not bring it",
        );
        return findings.wrong("snapshot", config.region.as_str(), "none, or unreadable", advice);
    };
    findings.ok("snapshot", config.region.as_str(), format!("revision {}", snapshot.revision));
    let secrets =
        snapshot.sources.values().flat_map(|source| source.secrets.iter().chain(source.keys.values()));
    let own = config.sealing_key().id();
    let keys: Vec<KeyId> = secrets.map(|sealed| sealed.secret.key.clone()).collect();
    // A key that differs counts. Without any secret there is nothing to compare.
    if let Some(key) = keys.iter().find(|key| **key != own).or(keys.first()) {
        compare_keys(&config.region, config.sealing_key(), key, findings);
    }
}

async fn snapshot(client: &Client) -> Option<Snapshot> {
    let context = async_nats::jetstream::context::ContextBuilder::new()
        .timeout(server::ANSWER_LIMIT)
        .build(client.clone());
    let bucket = context.get_key_value(subject::SNAPSHOT_BUCKET).await.ok()?;
    Snapshot::from_bytes(&bucket.get(subject::SNAPSHOT_KEY).await.ok()??).ok()
}

/// Compares the key of this host with the one that the centre seals to.
pub(super) fn compare_keys(region: &Name, here: &SealingKey, sealed_to: &KeyId, findings: &mut Findings) {
    let state = if here.id() == *sealed_to { State::Ok } else { State::Wrong };
    let found = match state {
        State::Ok => "fits what the centre seals to",
        _ => "is not the one that the centre seals to",
    };
    let remedy = format!(
        "if this host's key is right, set sealing_key of {region} in relay.toml to {here} and restart the relay, which \
         seals the secrets anew; else put the region's right key here"
    );
    let advice =
        Advice("The gateway cannot open its sources' secrets, and keeps its last configuration.", &remedy);
    findings.add_judged(state, "opening key", region.as_str(), found, advice);
}

#[cfg(test)]
mod tests {
    use floodgate_event::seal::OpeningKey;

    use super::*;

    #[test]
    fn a_key_of_another_region_is_wrong() {
        let (own, other) = (OpeningKey::generate(), OpeningKey::generate());
        let mut findings = Findings::default();
        compare_keys(&"eu".parse().unwrap(), own.sealing_key(), &own.sealing_key().id(), &mut findings);
        assert_eq!(findings.count_wrong(), 0);
        compare_keys(&"eu".parse().unwrap(), own.sealing_key(), &other.sealing_key().id(), &mut findings);
        assert_eq!(findings.count_wrong(), 1);
    }
}
