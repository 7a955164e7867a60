//! Streams as they are configured, and whether all of their replicas are level.

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::stream::{
    ClusterInfo, Config, DiscardPolicy, PersistenceMode, RetentionPolicy, State as Contents, StorageType,
};
use serde::Deserialize;

use super::finding::{Advice, Findings, State};
use super::{server, space};

/// What a stream's answer says.
#[derive(Deserialize)]
struct Look {
    config: Config,
    state: Contents,
    cluster: Option<ClusterInfo>,
}

/// What a stream must be like beyond keeping what it has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wants {
    /// The least duplicate window.
    pub(super) window: Option<Duration>,
    /// How many replicas the configuration says.
    pub(super) replicas: Option<usize>,
}

/// Checks one stream.
pub(super) async fn check(label: &str, client: &Client, stream: &str, wants: Wants, findings: &mut Findings) {
    let subject = format!("{stream} of {label}");
    match server::ask::<Look>(client, format!("$JS.API.STREAM.INFO.{stream}")).await {
        Ok(look) => judge(&subject, &look, wants, findings),
        Err(error) => {
            let advice = Advice(
                "Without it nothing can be accepted, or copied.",
                "a running relay makes what is missing: see its log; if there is a leader missing, bring servers back",
            );
            findings.wrong_is("stream", subject, error, advice);
        }
    }
}

fn judge(subject: &str, look: &Look, wants: Wants, findings: &mut Findings) {
    let before = findings.len();
    for fault in faults(&look.config, wants) {
        let remedy = "nats stream edit, or delete an empty stream and let the relay make it anew";
        findings.wrong_is("stream", subject, fault.found, Advice(fault.why, remedy));
    }
    replicas(subject, look, findings);
    if let Ok(most @ 1..) = u64::try_from(look.config.max_bytes) {
        room(subject, look.state.bytes, most, findings);
    }
    if findings.len() == before {
        let (messages, bytes) = (look.state.messages, space::gibibytes(look.state.bytes));
        findings.well("stream", subject, format!("{messages} messages, {bytes}"));
    }
}

struct Fault {
    found: String,
    why: &'static str,
}

/// All that makes a stream unfit.
fn faults(config: &Config, wants: Wants) -> Vec<Fault> {
    let loses = "It throws events away that nobody has copied yet.";
    let fault = |holds: bool, found: &str, why| holds.then(|| Fault { found: found.to_owned(), why });
    let window = wants.window.filter(|least| config.duplicate_window < *least).map(|least| Fault {
        found: format!("duplicate window {:?}, needed {least:?}", config.duplicate_window),
        why: "A block that is published again within its time-out could be stored twice.",
    });
    let replicas =
        wants.replicas.filter(|wanted| config.num_replicas.max(1) != *wanted).map(|wanted| Fault {
            found: format!("{} replicas, configured {wanted}", config.num_replicas),
            why: "It does not survive as many servers as the configuration promises.",
        });
    [
        fault(
            config.storage != StorageType::File,
            "it is kept in memory",
            "A restart of the server loses it.",
        ),
        fault(config.discard != DiscardPolicy::New, "discard is old", loses),
        fault(!config.max_age.is_zero(), "it has a max_age", loses),
        fault(config.retention != RetentionPolicy::Limits, "messages go once consumed", loses),
        fault(
            config.persist_mode == Some(PersistenceMode::Async),
            "persist_mode is async",
            "It acknowledges before it writes.",
        ),
    ]
    .into_iter()
    .chain([window, replicas])
    .flatten()
    .collect()
}

fn replicas(subject: &str, look: &Look, findings: &mut Findings) {
    let peers = look.cluster.as_ref().map_or(&[][..], |cluster| &cluster.replicas);
    for peer in peers.iter().filter(|peer| peer.offline || !peer.current) {
        let found = match (peer.offline, peer.lag) {
            (true, _) => format!("{} is offline", peer.name),
            (false, lag) => format!("{} is behind by {}", peer.name, lag.unwrap_or(0)),
        };
        let advice = Advice(
            "If another server goes too, the stream stops.",
            "bring that server back, or look at its disk and network",
        );
        findings.wrong_is("replica", subject, found, advice);
    }
}

fn room(subject: &str, used: u64, most: u64, findings: &mut Findings) {
    let left = space::percent(most.saturating_sub(used), most);
    if space::judge(left) > State::Well {
        let found = format!("{} of its {} used", space::gibibytes(used), space::gibibytes(most));
        let advice = Advice(
            "A full stream refuses blocks: the region answers 503.",
            "find out why the relay does not copy and purge, or raise max_bytes",
        );
        findings.not_well(space::judge(left), "stream", subject, found, advice);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(config: Config) -> Vec<String> {
        let wants = Wants { window: Some(Duration::from_secs(10)), replicas: Some(1) };
        faults(&config, wants).into_iter().map(|fault| fault.found).collect()
    }

    #[test]
    fn every_way_of_losing_events_is_named() {
        let good = Config {
            storage: StorageType::File,
            discard: DiscardPolicy::New,
            duplicate_window: Duration::from_secs(120),
            num_replicas: 1,
            ..Config::default()
        };
        assert_eq!(found(good.clone()), Vec::<String>::new());
        assert_eq!(found(Config { storage: StorageType::Memory, ..good.clone() }), ["it is kept in memory"]);
        assert_eq!(found(Config { discard: DiscardPolicy::Old, ..good.clone() }), ["discard is old"]);
        assert_eq!(found(Config { max_age: Duration::from_secs(1), ..good.clone() }), ["it has a max_age"]);
        assert_eq!(
            found(Config { duplicate_window: Duration::from_secs(1), num_replicas: 3, ..good }),
            ["duplicate window 1s, needed 10s", "3 replicas, configured 1"]
        );
    }
}
