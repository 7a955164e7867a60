//! The paths of the API, for the relay that serves them and the client that calls them. A part in braces is a
//! parameter: a name or an id.

use serde::Serialize;

/// `GET` lists the sources.
pub const SOURCES: &str = "/v1/sources";
/// `GET`, `PUT` and `DELETE` one source.
pub const SOURCE: &str = "/v1/sources/{name}";
/// `GET` lists the destinations.
pub const DESTINATIONS: &str = "/v1/destinations";
/// `GET`, `PUT` and `DELETE` one destination.
pub const DESTINATION: &str = "/v1/destinations/{name}";
/// `GET` lists the handlers.
pub const HANDLERS: &str = "/v1/handlers";
/// `GET` and `DELETE` one handler; `PUT` uploads a version of it.
pub const HANDLER: &str = "/v1/handlers/{name}";
/// `POST` makes a version the promoted one.
pub const PROMOTE: &str = "/v1/handlers/{name}/promote";
/// `POST` ends the rollout, or else promotes the version that was promoted before.
pub const ROLLBACK: &str = "/v1/handlers/{name}/rollback";
/// `POST` runs a version beside the promoted one, without effect.
pub const SHADOW: &str = "/v1/handlers/{name}/shadow";
/// `POST` lets a version take over step by step.
pub const CANARY: &str = "/v1/handlers/{name}/canary";
/// `DELETE` ends a shadow or a canary.
pub const ROLLOUT: &str = "/v1/handlers/{name}/rollout";
/// `GET` follows the lines that a handler logs.
pub const LOGS: &str = "/v1/handlers/{name}/logs";
/// `GET` says which revision each shard routes by and each region serves.
pub const REGIONS: &str = "/v1/regions";
/// `GET` lists events by what became of them.
pub const EVENTS: &str = "/v1/events";
/// `GET` shows one event, by its own id or its provider's.
pub const EVENT: &str = "/v1/events/{id}";
/// `GET` lists refused requests.
pub const REJECTS: &str = "/v1/rejects";
/// `POST` starts a replay of held requests.
pub const HELD_REPLAYS: &str = "/v1/rejects/replays";
/// `GET` says how far it is; `DELETE` cancels it.
pub const HELD_REPLAY: &str = "/v1/rejects/replays/{id}";
/// `POST` starts a replay.
pub const REPLAYS: &str = "/v1/replays";
/// `GET` says how far a replay is; `DELETE` cancels it.
pub const REPLAY: &str = "/v1/replays/{id}";
/// `GET` returns the books.
pub const BOOKS: &str = "/v1/books";
/// `GET` names what needs attention.
pub const HEALTH: &str = "/v1/health";
/// `POST` accepts what a stream of the centre has lost.
pub const ACCEPT_LOSS: &str = "/v1/central-streams/accept-loss";
/// `GET` answers with the OpenAPI document.
pub const OPENAPI: &str = "/v1/openapi.json";
/// `GET` answers while the relay is alive. Needs no token.
pub const ALIVE: &str = "/healthz";
/// `GET` answers while the relay reaches the centre. Needs no token.
pub const READY: &str = "/readyz";

/// The kinds of objects in a configuration file, which are put and deleted by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Collection {
    /// The destinations, under `/v1/destinations`.
    Destinations,
    /// The sources, under `/v1/sources`.
    Sources,
}

impl Collection {
    /// The name in paths and in a configuration file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Destinations => "destinations",
            Self::Sources => "sources",
        }
    }

    /// The path of the list.
    pub const fn list(self) -> &'static str {
        match self {
            Self::Destinations => DESTINATIONS,
            Self::Sources => SOURCES,
        }
    }

    /// The path of one object.
    pub const fn object(self) -> &'static str {
        match self {
            Self::Destinations => DESTINATION,
            Self::Sources => SOURCE,
        }
    }
}
