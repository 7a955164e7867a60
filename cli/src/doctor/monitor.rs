//! Checks a nats-server by its monitoring port: whether it syncs each message, and how full its store is.
//! JetStream's API says neither.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use super::finding::{Advice, Findings, State};
use super::space;
use floodgate_devkit::nats_server;

/// How long the server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);
const CHECK: &str = "fsync policy";

/// The page `/varz`, as far as it is needed.
#[derive(Deserialize)]
struct Page {
    server_name: String,
    version: String,
    #[serde(default)]
    jetstream: JetStream,
}

#[derive(Default, Deserialize)]
struct JetStream {
    config: Option<Config>,
    stats: Option<Stats>,
}

#[derive(Deserialize)]
struct Config {
    store_dir: PathBuf,
    max_storage: u64,
    #[serde(default)]
    sync_always: bool,
    /// How often the server syncs, in nanoseconds.
    #[serde(default)]
    sync_interval: u64,
}

#[derive(Deserialize)]
struct Stats {
    storage: u64,
}

/// Checks the server with this monitoring port.
pub(super) async fn check(url: &Url, findings: &mut Findings) {
    match page(url).await {
        Ok(page) => judge(&page, findings),
        Err(error) => findings.unknown(
            CHECK,
            url.as_str(),
            error.to_string(),
            "name the monitoring port of the nats-server on this host (its `http`), or give it one on 127.0.0.1",
        ),
    }
}

/// Adds that no monitoring port was named.
pub(super) fn not_asked(findings: &mut Findings) {
    findings.unknown(
        CHECK,
        "nats-server",
        "not asked",
        "name its monitoring port: --monitor http://127.0.0.1:8222; nothing else says whether it syncs",
    );
}

async fn page(url: &Url) -> Result<Page, reqwest::Error> {
    let mut url = url.clone();
    url.set_path("/varz");
    let client = reqwest::Client::builder().timeout(TIMEOUT).build()?;
    client.get(url).send().await?.error_for_status()?.json().await
}

fn judge(page: &Page, findings: &mut Findings) {
    let name = page.server_name.as_str();
    version(name, &page.version, findings);
    let Some(config) = &page.jetstream.config else {
        let advice = Advice("Without it nothing is durable.", "enable jetstream in its configuration");
        return findings.wrong("JetStream", name, "is not enabled", advice);
    };
    fsync(name, config, findings);
    if config.store_dir.is_dir() {
        space::check("stream store", &config.store_dir, findings);
    }
    if let Some(stats) = &page.jetstream.stats {
        store(name, stats.storage, config.max_storage, findings);
    }
}

/// Judges the setting of the running server, whatever its file says. Nothing here can see whether the disk
/// keeps what it says that it has synced.
fn fsync(name: &str, config: &Config, findings: &mut Findings) {
    if config.sync_always {
        return findings.ok(CHECK, name, "sync_interval is always");
    }
    let seconds = config.sync_interval / 1_000_000_000;
    let found = format!("sync_interval is {seconds} s");
    let advice = Advice(
        "It acknowledges before it syncs: a power cut takes events that got a 2xx.",
        "set `sync_interval: always` in its jetstream block and restart it",
    );
    findings.wrong(CHECK, name, found, advice);
}

fn store(name: &str, used: u64, most: u64, findings: &mut Findings) {
    let left = space::percent(most.saturating_sub(used), most);
    let found = format!("{} of {} used", space::gibibytes(used), space::gibibytes(most));
    let advice = Advice(
        "A full store refuses blocks: the region answers 503.",
        "raise max_file_store, or find out why the relay does not copy and purge",
    );
    findings.add_judged(space::judge(left), "stream store", name, found, advice);
}

/// Checks that a server's version is not too old.
pub(super) fn version(name: &str, version: &str, findings: &mut Findings) {
    let state = if nats_server::is_new_enough(version) { State::Ok } else { State::Wrong };
    let remedy = format!("upgrade it to {} or later, one server at a time", nats_server::oldest());
    let advice = Advice("Older ones lack what streams and fences need.", &remedy);
    findings.add_judged(state, "version", format!("nats-server {name}"), version, advice);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(json: &str) -> Vec<(&'static str, State)> {
        let mut findings = Findings::default();
        judge(&serde_json::from_str(json).unwrap(), &mut findings);
        findings.all().iter().map(|finding| (finding.check, finding.state)).collect()
    }

    fn varz(more: &str) -> String {
        format!(
            r#"{{"server_name": "n", "version": "2.15.1", "jetstream": {{"config": {{"store_dir": "/no/such", "max_storage": 100{more}}},
            "stats": {{"storage": 97}}}}}}"#
        )
    }

    #[test]
    fn only_always_is_always() {
        let synced = states(&varz(r#", "sync_interval": 120000000000, "sync_always": true"#));
        assert!(synced.contains(&(CHECK, State::Ok)), "{synced:?}");
        assert!(synced.contains(&("stream store", State::Wrong)), "3 % are left: {synced:?}");
        assert!(states(&varz(r#", "sync_interval": 1000000000"#)).contains(&(CHECK, State::Wrong)));
        let without = states(r#"{"server_name": "n", "version": "2.9.10", "jetstream": {}}"#);
        assert_eq!(without, [("version", State::Wrong), ("JetStream", State::Wrong)]);
    }
}
