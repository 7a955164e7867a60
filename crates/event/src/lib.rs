//! The vocabulary that Floodgate's parts share: ids and keys, envelopes and blocks,
//! subjects, snapshots, seals.
//!
//! Nothing here does I/O. The gateway and the relay never call each other; they meet in these types and in
//! stream subjects. The wire formats are in `proto/floodgate/v1/floodgate.proto` and described in
//! `docs/formats.md`; golden bytes in the tests hold them still.

pub mod block;
pub mod causes;
pub mod central;
pub mod compile;
pub mod deliveries;
pub mod document;
pub mod format;
pub mod grant;
pub mod id;
pub mod lane;
pub mod log_rate;
pub mod name;
pub mod place;
pub mod problem;
pub mod replay;
pub mod report;
pub mod rollout;
pub mod schedule;
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
pub mod type_pattern;

/// The messages of `floodgate.v1`, as `prost` generates them.
#[allow(missing_docs, clippy::all, unreachable_pub)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/floodgate.v1.rs"));
}

pub use block::BlockId;
pub use id::EventId;
pub use lane::Lane;
pub use log_rate::LogRate;
pub use name::Name;
pub use problem::{Problem, ProblemCode};
pub use secret::Secret;
