//! The configuration of the nats-servers, with the least rights that each user needs.
//!
//! It is written as JSON, which nats-server's own format contains, so that a library does the quoting.

use std::net::SocketAddr;
use std::path::Path;

use floodgate_event::{Lane, Secret, subject};
use serde_json::{Value, json};

/// The largest message, in bytes: a block with the largest event, and some room.
const MAX_PAYLOAD: u64 = 8 * 1024 * 1024;
/// The most that a server's streams may take on disk, in bytes. This is a limit and reserves nothing.
const MAX_FILE_STORE: u64 = 256 * 1024 * 1024 * 1024;
/// The most that streams in memory may take, in bytes. Floodgate has none.
const MAX_MEMORY_STORE: u64 = 16 * 1024 * 1024;

/// How long a gateway may take to answer a request: longer than the relay waits.
const RESPONSE_EXPIRES: &str = "90s";

/// The user of a connection without credentials. It has all rights, so that a developer can look at the
/// streams with any client. Only `floodgate dev` configures such a user, and only on loopback.
const OPERATOR: &str = "operator";
pub(crate) const GATEWAY: &str = "gateway";
pub(crate) const RELAY: &str = "relay";

/// The values in a nats-server's configuration.
pub(crate) struct Server<'a> {
    pub(crate) name: &'a str,
    pub(crate) listen: SocketAddr,
    /// The folder of its streams.
    pub(crate) store: &'a Path,
    /// The password of [`OPERATOR`].
    pub(crate) operator: &'a Secret,
}

impl Server<'_> {
    /// The server of a region. The gateway of this name publishes blocks, and the relay reads and purges
    /// them.
    pub(crate) fn region(&self, (name, gateway): (&str, &Secret), relay: &Secret) -> Value {
        let permissions = gateway_permissions(name);
        self.with_users(vec![
            json!({"user": GATEWAY, "password": gateway.expose(), "permissions": permissions}),
            // The relay must not be able to make up what it confirms and purges.
            json!({"user": RELAY, "password": relay.expose(), "permissions": {"publish": {"deny": ["in.>"]}}}),
        ])
    }

    /// The server of the centre, which only the relay uses.
    pub(crate) fn centre(&self, relay: &Secret) -> Value {
        self.with_users(vec![json!({"user": RELAY, "password": relay.expose()})])
    }

    fn with_users(&self, mut users: Vec<Value>) -> Value {
        users.push(json!({"user": OPERATOR, "password": self.operator.expose()}));
        json!({
            "server_name": self.name,
            "listen": self.listen.to_string(),
            "max_payload": MAX_PAYLOAD,
            "jetstream": {
                "store_dir": self.store,
                // A 2xx relies on the ack, so the server syncs each message to disk before it acknowledges.
                "sync_interval": "always",
                "max_file_store": MAX_FILE_STORE,
                "max_memory_store": MAX_MEMORY_STORE,
            },
            "accounts": {"FLOODGATE": {"jetstream": "enabled", "users": users}},
            "no_auth_user": OPERATOR,
        })
    }
}

/// The rights of a gateway, and nothing else. It publishes blocks, held requests and lines of handlers, and
/// under its own name its report and the requests that it refused. It reads the snapshot and the components,
/// and answers the relay's requests to replay an event or to verify a held request.
fn gateway_permissions(name: &str) -> Value {
    let blocks = Lane::ALL.iter().map(|&lane| subject::regional_wildcard(lane));
    let lanes = Lane::ALL.iter().map(|&lane| stream_info(subject::regional_stream(lane)));
    let reports = [stream_info(&kv(subject::GATEWAYS_BUCKET)), subject::gateway_report(name)];
    let snapshot = reads(&kv(subject::SNAPSHOT_BUCKET));
    let handlers = reads(&format!("OBJ_{}", subject::HANDLERS_BUCKET));
    let held = [subject::HELD_WILDCARD.to_owned(), stream_info(subject::HELD_STREAM)];
    let told = [subject::HANDLER_LOGS.to_owned(), subject::rejects(name)].into_iter().chain(held);
    let rest = reports.into_iter().chain(snapshot).chain(handlers).chain(told);
    let publish: Vec<String> = blocks.chain(lanes).chain(rest).collect();
    let inbox = format!("{}.>", subject::GATEWAY_INBOX);
    json!({
        "publish": {"allow": publish},
        "subscribe": {"allow": [inbox, subject::REPLAY, subject::VERIFY_HELD]},
        "allow_responses": {"max": 1, "expires": RESPONSE_EXPIRES},
    })
}

fn kv(bucket: &str) -> String {
    format!("KV_{bucket}")
}

fn stream_info(stream: &str) -> String {
    format!("$JS.API.STREAM.INFO.{stream}")
}

/// The rights to read a bucket: single messages, and an ordered consumer for changes and large objects.
fn reads(stream: &str) -> Vec<String> {
    vec![
        stream_info(stream),
        format!("$JS.API.DIRECT.GET.{stream}"),
        format!("$JS.API.DIRECT.GET.{stream}.>"),
        format!("$JS.API.STREAM.MSG.GET.{stream}"),
        format!("$JS.API.CONSUMER.CREATE.{stream}"),
        format!("$JS.API.CONSUMER.CREATE.{stream}.>"),
        format!("$JS.API.CONSUMER.INFO.{stream}.>"),
        format!("$JS.API.CONSUMER.DELETE.{stream}.>"),
        format!("$JS.FC.{stream}.>"),
    ]
}
