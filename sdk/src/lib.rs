//! Write Floodgate handlers in Rust: a function that sees each webhook of a source before it is stored, and
//! decides whether the event passes, changes, splits, is dropped, or is answered.
//!
//! ```
//! use floodgate_sdk::{EditError, Event, Outcome, counters, log};
//! use serde::Deserialize;
//!
//! /// What a source's binding sets: `params = { least_amount = 100 }`.
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Params {
//!     least_amount: u64,
//! }
//!
//! /// Drops small charges, and removes the billing details of the others. Every other byte stays as it came.
//! #[floodgate_sdk::handler]
//! fn trim(event: &Event, params: Params) -> Result<Outcome, EditError> {
//!     if !event.event_type().starts_with("charge.") {
//!         return Ok(Outcome::pass());
//!     }
//!     let mut body = event.edit()?;
//!     if body.get::<u64>("/data/object/amount")?.is_some_and(|amount| amount < params.least_amount) {
//!         return Ok(Outcome::drop("too small"));
//!     }
//!     if body.remove("/data/object/billing_details")? {
//!         counters::add("trimmed", 1); // needs `grants.counters = ["trimmed"]`
//!     } else {
//!         log::warn(format_args!("{} has no billing details", event.id()));
//!     }
//!     Ok(Outcome::change().body(body).into())
//! }
//!
//! let charge = r#"{"data": {"object": {"amount": 4200, "billing_details": {"name": "Ada"}}}}"#;
//! let event = Event::builder().event_type("charge.succeeded").body(charge).build();
//! let trimmed = r#"{"data": {"object": {"amount": 4200}}}"#;
//! let expected = Outcome::change().body(trimmed).into();
//! assert_eq!(trim(&event, Params { least_amount: 100 })?, expected);
//! assert_eq!(trim(&event, Params { least_amount: 5_000 })?, Outcome::drop("too small"));
//! # Ok::<(), EditError>(())
//! ```
//!
//! - [`Event`] is what a handler sees: body, headers, type, ids. [`Event::edit`] changes a JSON body.
//! - [`Outcome`] is what it decides, with the bounds of each decision.
//! - [`macro@handler`] says what the function looks like, and what an error or a panic does.
//! - [`log`], [`keys`] and [`counters`] call the gateway, each within what the source's binding grants.
//!
//! # Build and test
//!
//! `floodgate handler new NAME` makes a package that builds as it is: a library with
//! `crate-type = ["cdylib"]`. `floodgate handler build` compiles it for the target `wasm32-wasip2`, where the
//! attribute adds what makes it a component. `floodgate handler test` runs it over fixtures under the
//! gateway's engine and limits, and `floodgate handler push` uploads it. For any other target the function is
//! an ordinary one: `cargo test` calls it with events of [`Event::builder`].
//!
//! # What a handler may rely on
//!
//! - Each event gets a fresh instance. What a handler keeps in a static is gone after the event, and no event
//!   can see another's data.
//! - The same event, version and parameters give the same outcome on any machine and in any replay: the
//!   clocks show the time of receipt throughout, and random numbers are seeded from the event's id. Such
//!   numbers are no secret; sign with [`keys`].
//! - There are no files, no sockets, no environment and no arguments. Code that asks for them gets an error
//!   or nothing.
//! - One event may take 50 ms of processor time, 16 MiB of memory and 3 MiB of output, unless the binding's
//!   `limits` say otherwise. More is a fault of kind `deadline`, `memory` or `output`.

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod bindings;
mod builder;
pub mod counters;
mod event;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod glue;
#[cfg(any(target_arch = "wasm32", test))]
mod heap;
mod host;
#[cfg(target_arch = "wasm32")]
mod inert;
pub mod keys;
mod lane;
pub mod log;
mod outcome;
mod request;

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static HEAP: heap::Heap = heap::Heap::new();

pub use builder::Builder;
pub use event::Event;
pub use floodgate_json::{Edit, EditError, Seen};
pub use floodgate_sdk_macros::handler;
pub use lane::Lane;
pub use outcome::{Change, Child, Outcome, Response};
