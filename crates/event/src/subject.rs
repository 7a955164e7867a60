//! Subjects, streams, buckets and message headers: the names under which the parts meet in NATS.

use crate::Lane;

/// Header of a regional message: how many events the block holds, as `source=count` pairs joined by `;`.
/// Books count from it without opening blocks.
pub const EVENTS_HEADER: &str = "Floodgate-Events";
/// Header of a central message that holds a regional block:
/// [`Tallies`](crate::tally::Tallies) of its verdicts.
pub const VERDICTS_HEADER: &str = "Floodgate-Verdicts";
/// Header of a central or set-aside message: `region/incarnation/lane/sequence` of the regional message.
pub const ORIGIN_HEADER: &str = "Floodgate-Origin";
/// Header of a set-aside message: why it could not be decoded.
pub const REASON_HEADER: &str = "Floodgate-Reason";

/// Regional stream of a lane; every shard's subject is in it.
pub fn regional_stream(lane: Lane) -> &'static str {
    match lane {
        Lane::Critical => "IN_CRITICAL",
        Lane::Standard => "IN_STANDARD",
        Lane::Bulk => "IN_BULK",
    }
}

/// All that a lane's regional stream takes in.
pub fn regional_wildcard(lane: Lane) -> String {
    format!("in.{lane}.*")
}

/// Where a gateway publishes the blocks of a lane and shard.
pub fn regional(lane: Lane, shard: u32) -> String {
    format!("in.{lane}.{shard}")
}

/// The central log of a shard.
pub fn log_stream(shard: u32) -> String {
    format!("EVENTS_{shard}")
}

/// All that a shard's central log takes in.
pub fn log_wildcard(shard: u32) -> String {
    format!("events.{shard}.*")
}

/// Where the writer of a shard appends blocks that came through a lane.
pub fn log(shard: u32, lane: Lane) -> String {
    format!("events.{shard}.{lane}")
}

/// Where a writer of a shard's log puts up its fence, which each of its appends then names.
/// Nothing else goes there, and the last one must never be purged.
pub fn log_fence(shard: u32) -> String {
    format!("events.{shard}.fence")
}

/// Where the writer of a shard appends what else is not an event: purges, incarnations.
pub fn log_control(shard: u32) -> String {
    format!("events.{shard}.control")
}

/// The delivery journal's stream of a shard.
pub fn journal_stream(shard: u32) -> String {
    format!("JOURNAL_{shard}")
}

/// All that a shard's delivery journal takes in.
pub fn journal_wildcard(shard: u32) -> String {
    format!("journal.{shard}.*")
}

/// Where the writer of a shard's journal appends records.
pub fn journal(shard: u32) -> String {
    format!("journal.{shard}.records")
}

/// As [`log_fence`], of the journal.
pub fn journal_fence(shard: u32) -> String {
    format!("journal.{shard}.fence")
}

/// The central stream that keeps regional messages which could not be decoded.
pub const SET_ASIDE_STREAM: &str = "SET_ASIDE";
/// All that the set-aside stream takes in.
pub const SET_ASIDE_WILDCARD: &str = "setaside.>";

/// Where an undecodable message of a region's lane is set aside.
pub fn set_aside(region: &str, lane: Lane) -> String {
    format!("setaside.{region}.{lane}")
}

/// All that [`handler_log`] gives.
pub const HANDLER_LOGS: &str = "handler.log.*";

/// Where a region's gateways publish what a handler logs; no stream takes it in.
pub fn handler_log(handler: &str) -> String {
    format!("handler.log.{handler}")
}

/// KV bucket in each region that holds its snapshot.
pub const SNAPSHOT_BUCKET: &str = "floodgate_snapshot";
/// Key of the current snapshot.
pub const SNAPSHOT_KEY: &str = "current";
/// KV bucket in each region where gateways report what they serve, a key per gateway.
pub const GATEWAYS_BUCKET: &str = "floodgate_gateways";

/// Where a gateway puts its report: the subject behind its key in [`GATEWAYS_BUCKET`].
pub fn gateway_report(gateway: &str) -> String {
    format!("$KV.{GATEWAYS_BUCKET}.{gateway}")
}

/// Object bucket, in the centre and in each region, of handler components by the hex of their SHA-256.
pub const HANDLERS_BUCKET: &str = "floodgate_handlers";
/// KV bucket of the centre that holds the control plane's document.
pub const CONTROL_BUCKET: &str = "floodgate_control";
/// Key of the control plane's document.
pub const CONTROL_KEY: &str = "config";
/// Key, in the same bucket, of what the deployment is made of: how many shards, and which streams they write.
pub const DEPLOYMENT_KEY: &str = "deployment";
/// All that [`routed_key`] gives.
pub const ROUTED_KEYS: &str = "routed.*";

/// Key of the control bucket where the writer of a shard says which revision it routes by.
pub fn routed_key(shard: u32) -> String {
    format!("routed.{shard}")
}

/// KV bucket of the centre for the writers' leases, a key per shard.
pub const LEASE_BUCKET: &str = "floodgate_lease";

/// Key of a shard's lease.
pub fn lease_key(shard: u32) -> String {
    format!("shard.{shard}")
}

/// Prefix of the inboxes in which gateways get their answers; apart from the relay's, so that a gateway's
/// user need not be allowed to read those.
pub const GATEWAY_INBOX: &str = "_INBOX_gateway";

/// Where a region's gateways take requests to replay an event.
pub const REPLAY: &str = "handle.replay";
/// The queue group that they take them in: each request reaches one of them.
pub const REPLAY_GROUP: &str = "gateways";
