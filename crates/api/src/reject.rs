//! Refused requests, as the API lists them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU32;

use floodgate_event::Name;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::document::{Document, Invalid};
use crate::replay::{self, State};

/// Which refused requests are listed.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RejectsQuery {
    /// Only those of this region.
    #[param(nullable = false)]
    pub region: Option<Name>,
    /// Only those of this source; `-` for requests that named no source of the region.
    #[param(nullable = false)]
    pub source: Option<String>,
    /// Only those with this code, such as `signature-refused`; `connection` for refused connections.
    #[param(nullable = false)]
    pub code: Option<String>,
    /// Only those from this IP address.
    #[param(value_type = Option<String>, nullable = false)]
    pub peer: Option<IpAddr>,
    /// Only those at this time or later.
    #[param(format = DateTime, nullable = false)]
    pub from: Option<String>,
    /// Only those before this time.
    #[param(format = DateTime, nullable = false)]
    pub to: Option<String>,
    /// The most rows of the page.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 500, default = 100, nullable = false)]
    pub limit: Option<usize>,
    /// The `next` of the page before.
    #[param(nullable = false)]
    pub after: Option<String>,
}

impl RejectsQuery {
    /// The `source` of requests that named none.
    pub const NO_SOURCE: &'static str = "-";
    /// Rows of a page, where the caller does not say.
    pub const DEFAULT_LIMIT: usize = 100;
    /// The most rows of a page.
    pub const MAX_LIMIT: usize = 500;
}

/// A page of refused requests, newest first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Rejects {
    /// The page, which may hold fewer rows than asked for.
    pub items: Vec<Reject>,
    /// What `after` is for the page behind this one; null on the last.
    #[schema(required = true)]
    pub next: Option<String>,
}

/// A refused request, or connections of one peer that were refused for the same reason within a minute.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Reject {
    /// The id of the row: `rej_` and 26 characters.
    pub id: String,
    /// When it was refused; of several connections, when the last was.
    #[schema(format = DateTime)]
    pub at: String,
    /// The region of the gateway.
    pub region: String,
    /// The gateway that refused it.
    pub gateway: String,
    /// The source that it was for; null if it named none of the region.
    pub source: Option<String>,
    /// The tenant that owns the source.
    pub tenant: Option<String>,
    /// The code of the answer's problem document; `connection` for connections.
    pub code: String,
    /// The status of the answer; null for connections, which got none.
    pub status: Option<u32>,
    /// The step that failed. For a refused signature: `form`, `time`, `key`, `signature` or `audience`. For
    /// connections: `tls`, `handshake`, `handshakes`, `address_connections`, `memory` or `proxy`.
    pub step: Option<String>,
    /// Why the gateway refused it, in words. The sender did not see this text.
    pub reason: String,
    /// How the source verifies its requests.
    pub scheme: Option<String>,
    /// The sender's IP address; for a request, with the port.
    pub peer: String,
    /// How many connections it stands for; 1 for a request.
    pub count: u64,
    /// When the first of them was refused.
    #[schema(format = DateTime)]
    pub first_at: String,
    /// How many refusals of this source since its last row have no row, because there were too many.
    pub left_out: u64,
    /// Whether the whole request is held in its region, to be verified again.
    #[serde(default)]
    pub held: bool,
    /// The request, as far as it arrived and may be shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub request: Option<RejectedRequest>,
}

/// What is shown of a refused request. Values that may be credentials are `***`, and long ones are cut.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RejectedRequest {
    /// The HTTP method of the request.
    pub method: String,
    /// The path of its URL.
    pub path: String,
    /// The query of its URL.
    pub query: String,
    /// At most 64 headers, in the order received. What is not UTF-8 is replaced.
    pub headers: Vec<RejectedHeader>,
    /// The start of the body, at most 512 bytes; what is not UTF-8 is replaced. Null if it did not arrive, or
    /// if the source does not keep bodies.
    pub body: Option<String>,
    /// The size of the body; null if it did not arrive whole.
    pub body_bytes: Option<u64>,
}

/// A header of a refused request.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RejectedHeader {
    /// The name of the header.
    pub name: String,
    /// The value of the header; `***` if it may be a credential.
    pub value: String,
}

/// A replay of held requests, as `POST /v1/rejects/replays` takes it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = HeldReplayOrder)]
pub struct HeldReplayDocument {
    /// The source whose held requests are verified.
    pub source: Name,
    /// Only requests held in this region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub region: Option<Name>,
    /// Only requests from this IP address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub peer: Option<IpAddr>,
    /// The most requests per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 10000, default = 100, nullable = false)]
    pub rate_per_second: Option<NonZeroU32>,
    /// Whether the replay only counts what would verify.
    #[serde(default)]
    #[schema(default = false)]
    pub dry_run: bool,
}

impl Document for HeldReplayDocument {
    fn check(&self) -> Result<(), Invalid> {
        replay::check_rate(self.rate_per_second)
    }
}

/// A replay of held requests, and how far it is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct HeldReplay {
    /// The id of the replay.
    pub id: String,
    /// What became of it so far.
    pub state: State,
    /// True: it only counts. Nothing is enqueued, and everything stays held.
    pub dry_run: bool,
    /// Requests that were held when it started.
    pub matched: u64,
    /// Requests that verify now. Unless it is a dry run, they are events on a region's disk, and held no
    /// more.
    pub verified: u64,
    /// Requests that do not verify, or are no event. They stay held.
    pub refused: u64,
    /// Requests that no gateway could judge. They stay held.
    pub failed: u64,
    /// How many verify, by the id of the secret.
    pub secrets: BTreeMap<String, u64>,
    /// By the IP address of the sender; at most 100, and `others`.
    pub peers: BTreeMap<String, PeerCounts>,
    /// How many stay held, by the reason; at most 100 reasons, and `others`.
    pub reasons: BTreeMap<String, u64>,
    /// Why it could not continue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<String>,
    /// When the replay started.
    #[schema(format = DateTime)]
    pub started_at: String,
}

/// The requests of one sender.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct PeerCounts {
    /// How many of its held requests verify.
    pub verified: u64,
    /// How many of its held requests do not verify.
    pub refused: u64,
}
