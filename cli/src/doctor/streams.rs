//! Streams as they are configured, and whether all of their replicas are level.

use async_nats::Client;
use async_nats::jetstream::stream::{ClusterInfo, Config, State as Contents};
use floodgate_stream::fitness::{self, Harm, Needs};
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

/// What a stream must be like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wants<'a> {
    /// What its users need of it.
    pub(super) needs: Needs<'a>,
    /// How many replicas the configuration says.
    pub(super) replicas: Option<usize>,
}

/// Checks one stream.
pub(super) async fn check(
    label: &str,
    client: &Client,
    stream: &str,
    wants: Wants<'_>,
    findings: &mut Findings,
) {
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

fn judge(subject: &str, look: &Look, wants: Wants<'_>, findings: &mut Findings) {
    let before = findings.len();
    let remedy =
        "nats stream edit; what that cannot change needs a stream that is made anew: see docs/operations.md";
    for fault in fitness::faults(&look.config, wants.needs) {
        findings.wrong_is("stream", subject, fault.found, Advice(why(fault.harm), remedy));
    }
    if let Some(found) = fewer_replicas(&look.config, wants.replicas) {
        let advice = Advice("It does not survive as many servers as the configuration promises.", remedy);
        findings.wrong_is("stream", subject, found, advice);
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

fn why(harm: Harm) -> &'static str {
    match harm {
        Harm::Loses => "It may throw events away that nobody has copied yet, or keep some twice.",
        Harm::Blocks => {
            "Nothing can be stored in it, or nobody reads it: a region answers 503, the centre stands still."
        }
        Harm::Limits => {
            "It refuses blocks once the limit is reached: a region answers 503, the centre stands still."
        }
    }
}

fn fewer_replicas(config: &Config, wanted: Option<usize>) -> Option<String> {
    let wanted = wanted.filter(|wanted| config.num_replicas.max(1) != *wanted)?;
    Some(format!("{} replicas, configured {wanted}", config.num_replicas))
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
        let needs = Needs { subjects: "in.bulk.*", message_bytes: 1, window: None, direct: false };
        let look =
            Look { config, state: serde_json::from_value(STATE.parse().unwrap()).unwrap(), cluster: None };
        let mut findings = Findings::default();
        judge("IN_BULK", &look, Wants { needs, replicas: Some(1) }, &mut findings);
        let wrong = findings.all().iter().filter(|finding| finding.state == State::Wrong);
        wrong.map(|finding| finding.found.clone()).collect()
    }

    const STATE: &str = r#"{"messages": 0, "bytes": 0, "first_seq": 1, "first_ts": "1970-01-01T00:00:01Z", "last_seq": 0,
        "last_ts": "1970-01-01T00:00:01Z", "consumer_count": 0}"#;

    #[test]
    fn what_the_gateway_refuses_is_wrong_here_too() {
        let good = Config {
            subjects: vec!["in.bulk.*".to_owned()],
            discard: async_nats::jetstream::stream::DiscardPolicy::New,
            num_replicas: 1,
            ..Config::default()
        };
        assert_eq!(found(good.clone()), Vec::<String>::new());
        let few = found(Config { max_messages_per_subject: 1, ..good.clone() });
        assert!(few.len() == 1 && few[0].contains("max_messages_per_subject is 1"), "{few:?}");
        assert_eq!(found(Config { num_replicas: 3, ..good }), ["3 replicas, configured 1"]);
    }
}
