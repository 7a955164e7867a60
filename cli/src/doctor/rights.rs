//! Tries what a user must not be able to do. Each message expects another stream than the one that would take
//! it. So a server that lets the message through refuses it as well, and says so. Nothing is written either
//! way.

use std::time::Duration;

use async_nats::{Client, HeaderMap, Subscriber};
use bytes::Bytes;
use floodgate_event::{Lane, Name, ShardId, subject};
use futures::StreamExt as _;
use serde_json::Value;
use tokio::time::timeout;

use super::finding::{Advice, Findings};
use super::server;

/// A server that lets a message through answers it at once. No answer for so long means that it does not, if
/// the same connection answers an allowed request afterwards.
const SILENCE: Duration = Duration::from_secs(2);
/// A name that no stream has.
const NO_STREAM: &str = "FLOODGATE_DOCTOR";
/// The suffix that makes the name of another gateway.
const OTHER: &str = "other";
const CHECK: &str = "rights";

enum Tried {
    Refused,
    Allowed,
    Unclear,
}

/// Checks the rights of a gateway. It must not be able to change what the region serves, to delete streams,
/// or to report for other gateways, because a canary follows their reports.
pub(super) async fn gateway(name: &Name, client: &Client, findings: &mut Findings) {
    let snapshot = format!("$KV.{}.{}", subject::SNAPSHOT_BUCKET, subject::SNAPSHOT_KEY);
    // No stream has this name. Who may delete it may delete any.
    let delete = format!("$JS.API.STREAM.DELETE.{NO_STREAM}");
    // No gateway need have this name. Who may report for it may report for any.
    let report = subject::gateway_report(&format!("{name}-{OTHER}"));
    let user = "the gateway's user";
    check(client, user, "change the snapshot", snapshot, findings).await;
    check(client, user, "delete streams", delete, findings).await;
    check(client, user, "report for other gateways", report, findings).await;
}

/// Checks the rights of a relay. It must not be able to publish the events that it confirms and purges.
pub(super) async fn relay(region: &str, client: &Client, findings: &mut Findings) {
    let user = format!("the relay's user in {region}");
    check(client, &user, "publish events", subject::regional(Lane::Standard, ShardId::FIRST), findings).await;
}

async fn check(client: &Client, user: &str, what: &str, subject: String, findings: &mut Findings) {
    match attempt(client, subject.clone()).await {
        Tried::Refused => findings.ok(CHECK, user, format!("cannot {what}")),
        Tried::Allowed => {
            let remedy = format!(
                "deny it `{subject}` in the server's configuration, as docs/formats.md shows, and reload"
            );
            let advice = Advice("Whoever takes this host over could lose or make up events.", &remedy);
            findings.wrong(CHECK, user, format!("can {what}"), advice);
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
