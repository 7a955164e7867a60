//! The world in `sdk/wit` as types. wasmtime's macro generates them in a module of their own, and the rest of
//! the crate uses them by the names given here.

/// Generated from `sdk/wit/handler.wit`, where their documentation is. Nothing in this module is written by
/// hand.
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

/// An event in the form that handlers get. Borrowed: each run copies it into the instance.
pub use self::generated::floodgate::handler::types::Event as Input;
/// The lane of an [`Input`].
pub use self::generated::floodgate::handler::types::Lane as InputLane;

/// What a handler's `handle` returns: an outcome, or the message of a fault of kind `error`.
pub(crate) type Answer = Result<OutcomeResult, String>;
