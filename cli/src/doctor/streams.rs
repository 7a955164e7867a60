//! Checks streams: their settings, whether their replicas are up to date, and how full they are.

use async_nats::Client;
use async_nats::jetstream::stream::{ClusterInfo, Config, State as Contents};
use floodgate_stream::contract::{Contract, Harm};
use serde::Deserialize;

use super::finding::{Advice, Findings, State};
use super::{server, space};

/// The answer to a stream info request, as far as it is needed.
#[derive(Deserialize)]
struct StreamInfo {
    config: Config,
    state: Contents,
    cluster: Option<ClusterInfo>,
}

/// Checks one stream against its contract, and against the replicas that the configuration asks for.
pub(super) async fn check(
    label: &str,
    client: &Client,
    contract: &Contract,
    replicas: Option<usize>,
    findings: &mut Findings,
) {
    let stream = contract.name();
    let subject = format!("{stream} of {label}");
    match server::ask::<StreamInfo>(client, format!("$JS.API.STREAM.INFO.{stream}")).await {
        Ok(info) => judge(&subject, &info, contract, replicas, findings),
        Err(error) => {
            let advice = Advice(
                "Without it nothing can be accepted, or copied.",
                "a running relay makes what is missing: see its log; if there is a leader missing, bring servers back",
            );
            findings.wrong("stream", subject, error, advice);
        }
    }
}

fn judge(
    subject: &str,
    info: &StreamInfo,
    contract: &Contract,
    configured: Option<usize>,
    findings: &mut Findings,
) {
    let before = findings.len();
    let remedy =
        "nats stream edit; what that cannot change needs a stream that is made anew: see docs/operations.md";
    for fault in contract.faults(&info.config) {
        findings.wrong("stream", subject, fault.found, Advice(why(fault.harm), remedy));
    }
    if let Some(found) = other_replicas(&info.config, configured) {
        let advice = Advice("It does not survive as many servers as the configuration promises.", remedy);
        findings.wrong("stream", subject, found, advice);
    }
    replicas(subject, info, findings);
    if let Ok(most @ 1..) = u64::try_from(info.config.max_bytes) {
        room(subject, info.state.bytes, most, findings);
    }
    if findings.len() == before {
        let (messages, bytes) = (info.state.messages, space::gibibytes(info.state.bytes));
        findings.ok("stream", subject, format!("{messages} messages, {bytes}"));
    }
}

fn why(harm: Harm) -> &'static str {
    match harm {
        Harm::Loses => "It may throw events away that nobody has copied yet, or keep some twice.",
        Harm::Blocks => {
            "Nothing can be stored in it, or nobody reads it: a region answers 503, and the centre stops."
        }
        Harm::Limits => {
            "It refuses blocks once the limit is reached: a region answers 503, and the centre stops."
        }
    }
}

fn other_replicas(config: &Config, configured: Option<usize>) -> Option<String> {
    let configured = configured.filter(|configured| config.num_replicas.max(1) != *configured)?;
    Some(format!("{} replicas, configured {configured}", config.num_replicas))
}

fn replicas(subject: &str, info: &StreamInfo, findings: &mut Findings) {
    let peers = info.cluster.as_ref().map_or(&[][..], |cluster| &cluster.replicas);
    for peer in peers.iter().filter(|peer| peer.offline || !peer.current) {
        let found = match (peer.offline, peer.lag) {
            (true, _) => format!("{} is offline", peer.name),
            (false, lag) => format!("{} is behind by {}", peer.name, lag.unwrap_or(0)),
        };
        let advice = Advice(
            "If another server goes too, the stream stops.",
            "bring that server back, or look at its disk and network",
        );
        findings.wrong("replica", subject, found, advice);
    }
}

fn room(subject: &str, used: u64, most: u64, findings: &mut Findings) {
    let left = space::percent(most.saturating_sub(used), most);
    if space::judge(left) > State::Ok {
        let found = format!("{} of its {} used", space::gibibytes(used), space::gibibytes(most));
        let advice = Advice(
            "A full stream refuses blocks: the region answers 503.",
            "find out why the relay does not copy and purge, or raise max_bytes",
        );
        findings.add(space::judge(left), "stream", subject, found, advice);
    }
}

#[cfg(test)]
mod tests {
    use floodgate_event::Lane;

    use super::*;

    fn found(config: Config) -> Vec<String> {
        let info = StreamInfo {
            config,
            state: serde_json::from_value(STATE.parse().unwrap()).unwrap(),
            cluster: None,
        };
        let mut findings = Findings::default();
        judge("IN_BULK", &info, &Contract::lane(Lane::Bulk), Some(1), &mut findings);
        let wrong = findings.all().iter().filter(|finding| finding.state == State::Wrong);
        wrong.map(|finding| finding.found.clone()).collect()
    }

    const STATE: &str = r#"{"messages": 0, "bytes": 0, "first_seq": 1, "first_ts": "1970-01-01T00:00:01Z", "last_seq": 0,
        "last_ts": "1970-01-01T00:00:01Z", "consumer_count": 0}"#;

    #[test]
    fn what_the_gateway_refuses_is_wrong_here_too() {
        let good = Config { num_replicas: 1, ..Contract::lane(Lane::Bulk).config() };
        assert_eq!(found(good.clone()), Vec::<String>::new());
        let few = found(Config { max_messages_per_subject: 1, ..good.clone() });
        assert!(few.len() == 1 && few[0].contains("max_messages_per_subject is 1"), "{few:?}");
        assert_eq!(found(Config { num_replicas: 3, ..good }), ["3 replicas, configured 1"]);
    }
}
