//! Names in NATS that the parts of Floodgate share: subjects, streams, buckets and message headers.

use crate::{Lane, ShardId};

/// Header of a regional message: how many events of each source the block has, as `source=count` pairs joined
/// by `;`. The books count from it without decoding blocks.
pub const EVENTS_HEADER: &str = "Floodgate-Events";
/// Header of a central message that holds a regional block:
/// [`Tallies`](crate::tally::Tallies) of its verdicts.
pub const VERDICTS_HEADER: &str = "Floodgate-Verdicts";
/// Header of a central or set-aside message: `region/incarnation/lane/sequence` of the regional message. Of a
/// central block of refused requests: `region/incarnation/sequence`.
pub const ORIGIN_HEADER: &str = "Floodgate-Origin";
/// Header of a central block of refused requests: the gateway that wrote it, by its subject in the region.
pub const GATEWAY_HEADER: &str = "Floodgate-Gateway";
/// Header of a set-aside message: why it could not be decoded.
pub const REASON_HEADER: &str = "Floodgate-Reason";

/// The regional stream of a lane. It takes in the subjects of all shards.
pub fn regional_stream(lane: Lane) -> &'static str {
    match lane {
        Lane::Critical => "IN_CRITICAL",
        Lane::Standard => "IN_STANDARD",
        Lane::Bulk => "IN_BULK",
    }
}

/// All subjects of a lane's regional stream.
pub fn regional_wildcard(lane: Lane) -> String {
    format!("in.{lane}.*")
}

/// The subject to which a gateway publishes the blocks of a lane and shard.
pub fn regional(lane: Lane, shard: ShardId) -> String {
    format!("in.{lane}.{shard}")
}

/// The central log of a shard.
pub fn log_stream(shard: ShardId) -> String {
    format!("EVENTS_{shard}")
}

/// All subjects of a shard's central log.
pub fn log_wildcard(shard: ShardId) -> String {
    format!("events.{shard}.*")
}

/// The subject to which the writer of a shard appends the blocks that came through a lane.
pub fn log(shard: ShardId, lane: Lane) -> String {
    format!("events.{shard}.{lane}")
}

/// The subject of the fences of a shard's log. Each append names the last one. Nothing else is published
/// there, and the last fence must never be purged.
pub fn log_fence(shard: ShardId) -> String {
    format!("events.{shard}.fence")
}

/// The subject of what the log has besides events: purges, incarnations.
pub fn log_control(shard: ShardId) -> String {
    format!("events.{shard}.control")
}

/// The stream of a shard's delivery journal.
pub fn journal_stream(shard: ShardId) -> String {
    format!("JOURNAL_{shard}")
}

/// All subjects of a shard's delivery journal.
pub fn journal_wildcard(shard: ShardId) -> String {
    format!("journal.{shard}.*")
}

/// The subject to which the writer of a shard's journal appends records.
pub fn journal(shard: ShardId) -> String {
    format!("journal.{shard}.records")
}

/// The subject of the journal's fences: see [`log_fence`].
pub fn journal_fence(shard: ShardId) -> String {
    format!("journal.{shard}.fence")
}

/// The central stream for regional messages that cannot be decoded.
pub const SET_ASIDE_STREAM: &str = "SET_ASIDE";
/// All subjects of the set-aside stream.
pub const SET_ASIDE_WILDCARD: &str = "setaside.>";

/// The subject for undecodable messages of a region's lane.
pub fn set_aside(region: &str, lane: Lane) -> String {
    format!("setaside.{region}.{lane}")
}

/// The stream, in each region and in the centre, of refused requests.
pub const REJECTS_STREAM: &str = "REJECTS";
/// All subjects of that stream.
pub const REJECTS_WILDCARD: &str = "rejects.*";

/// The subject to which a gateway publishes the requests that it refused; in the centre, that of a region's
/// rows.
pub fn rejects(writer: &str) -> String {
    format!("rejects.{writer}")
}

/// The stream in each region of requests whose signature failed and that are held.
pub const HELD_STREAM: &str = "HELD";
/// All subjects of that stream.
pub const HELD_WILDCARD: &str = "held.*.*.*";

/// The subject of the requests that are held for a source from one sender. `address` is its
/// [`address_token`](crate::held::address_token), and `size` the message's
/// [`size_class`](crate::held::size_class). The stream limits how many messages a subject may have.
pub fn held(source: &str, address: &str, size: usize) -> String {
    format!("held.{source}.{address}.{size}")
}

/// All subjects of what is held for a source from one sender.
pub fn held_from(source: &str, address: &str) -> String {
    format!("held.{source}.{address}.*")
}

/// All subjects of what is held for a source.
pub fn held_of(source: &str) -> String {
    format!("held.{source}.*.*")
}

/// All subjects that [`handler_log`] returns.
pub const HANDLER_LOGS: &str = "handler.log.*";

/// The subject to which a region's gateways publish a handler's log lines. No stream takes it in.
pub fn handler_log(handler: &str) -> String {
    format!("handler.log.{handler}")
}

/// The KV bucket in each region that holds its snapshot.
pub const SNAPSHOT_BUCKET: &str = "floodgate_snapshot";
/// The key of the current snapshot.
pub const SNAPSHOT_KEY: &str = "current";
/// The KV bucket in each region where gateways report what they serve, with a key for each gateway.
pub const GATEWAYS_BUCKET: &str = "floodgate_gateways";

/// The subject of a gateway's report: its key in [`GATEWAYS_BUCKET`].
pub fn gateway_report(gateway: &str) -> String {
    format!("$KV.{GATEWAYS_BUCKET}.{gateway}")
}

/// The object bucket, in the centre and in each region, of components by the hex of their SHA-256.
pub const HANDLERS_BUCKET: &str = "floodgate_handlers";
/// The KV bucket in the centre that holds the configuration.
pub const CONTROL_BUCKET: &str = "floodgate_control";
/// The key of the configuration.
pub const CONTROL_KEY: &str = "config";
/// The key, in the same bucket, of the record of the deployment: how many shards it has, and which streams.
pub const DEPLOYMENT_KEY: &str = "deployment";
/// All keys that [`routed_key`] returns.
pub const ROUTED_KEYS: &str = "routed.*";

/// The key in the control bucket where the writer of a shard records which revision it routes by.
pub fn routed_key(shard: ShardId) -> String {
    format!("routed.{shard}")
}

/// The KV bucket in the centre for the writers' leases, with a key for each shard.
pub const LEASE_BUCKET: &str = "floodgate_lease";

/// The key of a shard's lease.
pub fn lease_key(shard: ShardId) -> String {
    format!("shard.{shard}")
}

/// The prefix of the inboxes in which gateways get their answers. It is not the relay's, so that a gateway's
/// user needs no right to read those.
pub const GATEWAY_INBOX: &str = "_INBOX_gateway";

/// The subject on which a region's gateways take requests to replay an event.
pub const REPLAY: &str = "handle.replay";
/// The subject on which a region's gateways take requests to verify a held request again.
pub const VERIFY_HELD: &str = "verify.held";
/// Their queue group: each request reaches one of them.
pub const REPLAY_GROUP: &str = "gateways";
