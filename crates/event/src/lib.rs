//! The vocabulary that the parts of Floodgate share: ids and keys, envelopes and blocks, subjects, snapshots,
//! seals.
//!
//! Nothing here does I/O. The gateway and the relay never call each other. They share these types and the
//! subjects of streams. The wire formats are in `proto/floodgate/v1/floodgate.proto`, and `docs/formats.md`
//! describes them. Golden bytes in the tests pin them.

pub mod backoff;
pub mod block;
pub mod causes;
pub mod central;
pub mod client;
pub mod compile;
pub mod deliveries;
mod digest;
pub mod document;
pub mod format;
pub mod grant;
pub mod held;
pub mod id;
pub mod lane;
pub mod log_rate;
pub mod name;
pub mod place;
pub mod problem;
pub mod reject;
pub mod replay;
pub mod report;
pub mod rollout;
pub mod schedule;
#[cfg(feature = "schema")]
mod schema;
pub mod scheme;
pub mod seal;
pub mod secret;
pub mod shard;
pub mod snapshot;
pub mod source;
pub mod standard_webhooks;
pub mod subject;
pub mod subscription;
pub mod tally;
pub mod time;
pub mod trace_context;
pub mod type_pattern;

/// The messages of `floodgate.v1`, which `prost` generates from the `.proto`. Nothing in this module is
/// written by hand.
#[allow(missing_docs, clippy::all, unreachable_pub)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/floodgate.v1.rs"));
}

pub use backoff::Backoff;
pub use block::BlockId;
pub use client::ClientCertificates;
pub use digest::{Digest256, InvalidDigest};
pub use id::EventId;
pub use lane::Lane;
pub use log_rate::LogRate;
pub use name::Name;
pub use problem::{Problem, ProblemCode};
pub use secret::Secret;
pub use shard::{ShardCount, ShardId};
