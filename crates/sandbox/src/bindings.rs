//! The world in `sdk/wit` as generated types, and their names here.

/// Generated; their documentation is that of the WIT file.
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod generated {
    wasmtime::component::bindgen!({
        path: "../../sdk/wit",
        world: "handler",
        imports: { default: trappable },
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

pub(crate) use self::generated::floodgate::handler::request::Request as RequestResult;
pub(crate) use self::generated::floodgate::handler::types::{
    Change as ChangeResult, Child as ChildResult, Outcome as OutcomeResult, Response as ResponseResult,
};
pub(crate) use self::generated::floodgate::handler::{counters, keys, log, panic, request, types};
pub(crate) use self::generated::{Handler, HandlerPre};

/// An event as a handler sees it.
pub use self::generated::floodgate::handler::types::Event as Input;
/// The lane of an [`Input`].
pub use self::generated::floodgate::handler::types::Lane as InputLane;

/// What `handle` returns.
pub(crate) type Answer = Result<OutcomeResult, String>;
