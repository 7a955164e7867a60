//! What a user must not be able to do, tried: each try says that it expects another stream than the one
//! that would take it, so that a server which lets it through refuses it too, and says so.
//! Nothing is written either way.

use std::time::Duration;

use async_nats::{Client, HeaderMap, Subscriber};
use bytes::Bytes;
use floodgate_event::{Lane, Name, subject};
use futures::StreamExt as _;
use serde_json::Value;
use tokio::time::timeout;

use super::finding::{Advice, Findings};
use super::server;

/// A server that lets a try through answers it at once; silence for so long, on a connection that answers
/// what is allowed before and after, means that it does not.
const SILENCE: Duration = Duration::from_secs(2);
/// The name of no stream.
const NO_STREAM: &str = "FLOODGATE_DOCTOR";
/// What another gateway's name ends in.
const OTHER: &str = "other";
const CHECK: &str = "rights";

enum Tried {
    Refused,
    Allowed,
    Unclear,
}

/// A gateway must not be able to change what the region serves, to delete streams, or to report for others:
/// a canary goes by what gateways report.
pub(super) async fn gateway(name: &Name, client: &Client, findings: &mut Findings) {
    let snapshot = format!("$KV.{}.{}", subject::SNAPSHOT_BUCKET, subject::SNAPSHOT_KEY);
    // No stream is called so: who may delete it may delete any.
    let delete = format!("$JS.API.STREAM.DELETE.{NO_STREAM}");
    // No gateway need be called so: who may report for it may report for any.
    let report = subject::gateway_report(&format!("{name}-{OTHER}"));
    let user = "the gateway's user";
    check(client, user, "change the snapshot", snapshot, findings).await;
    check(client, user, "delete streams", delete, findings).await;
    check(client, user, "report for other gateways", report, findings).await;
}

/// What a relay confirms and purges it must not be able to make up.
pub(super) async fn relay(region: &str, client: &Client, findings: &mut Findings) {
    let user = format!("the relay's user in {region}");
    check(client, &user, "publish events", subject::regional(Lane::Standard, 0), findings).await;
}

async fn check(client: &Client, user: &str, what: &str, subject: String, findings: &mut Findings) {
    match attempt(client, subject.clone()).await {
        Tried::Refused => findings.well(CHECK, user, format!("cannot {what}")),
        Tried::Allowed => {
            let remedy = format!(
                "deny it `{subject}` in the server's configuration, as docs/formats.md shows, and reload"
            );
            let advice = Advice("Whoever takes this host over could lose or make up events.", &remedy);
            findings.wrong_is(CHECK, user, format!("can {what}"), advice);
        }
        Tried::Unclear => {
            findings.unknown(
                CHECK,
                user,
                format!("whether it can {what}"),
                "try again: the server did not answer",
            );
        }
    }
}

async fn attempt(client: &Client, subject: String) -> Tried {
    let inbox = client.new_inbox();
    let Ok(answers) = client.subscribe(inbox.clone()).await else { return Tried::Unclear };
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Expected-Stream", NO_STREAM);
    let sent = client.publish_with_reply_and_headers(subject, inbox, headers, Bytes::new()).await;
    if sent.is_err() {
        return Tried::Unclear;
    }
    if answered(answers).await {
        return Tried::Allowed;
    }
    let allowed = format!("$JS.API.STREAM.INFO.{}", subject::regional_stream(Lane::Standard));
    match server::ask::<Value>(client, allowed).await {
        Ok(_) => Tried::Refused,
        Err(_) => Tried::Unclear,
    }
}

async fn answered(mut answers: Subscriber) -> bool {
    matches!(timeout(SILENCE, answers.next()).await, Ok(Some(_)))
}
