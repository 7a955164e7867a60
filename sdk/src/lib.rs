//! Write Floodgate handlers in Rust: an ordinary function over a borrowed event.
//!
//! ```
//! use floodgate_sdk::{Event, Outcome};
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Params {
//!     types: Vec<String>,
//! }
//!
//! /// Lets only some types through.
//! #[floodgate_sdk::handler]
//! fn only(event: &Event, params: Params) -> Result<Outcome, std::convert::Infallible> {
//!     if params.types.iter().any(|name| name == event.event_type()) {
//!         Ok(Outcome::pass())
//!     } else {
//!         Ok(Outcome::drop("not one of the types"))
//!     }
//! }
//!
//! let ping = Event::builder().event_type("ping").build();
//! let params = Params { types: vec!["push".into()] };
//! assert_eq!(only(&ping, params), Ok(Outcome::drop("not one of the types")));
//! ```
//!
//! For the target `wasm32-wasip2` the attribute adds the glue that makes a component of the world
//! `floodgate:handler/handler`; for any other target the function stays what it is, and `cargo test` runs it.
//! Build with `crate-type = ["cdylib"]` and `floodgate handler build`.
//!
//! Each event gets a fresh instance: nothing that a handler keeps in a static outlives it.
//! Clocks stand still at the event's time of receipt and random numbers are seeded from its id, so that a
//! replay gives the same bytes.

mod builder;
pub mod counters;
mod event;
pub mod keys;
mod lane;
pub mod log;
mod outcome;

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod glue;
#[cfg(any(target_arch = "wasm32", test))]
mod heap;
#[cfg(target_arch = "wasm32")]
mod inert;

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static HEAP: heap::Heap = heap::Heap::new();

pub use builder::Builder;
pub use event::Event;
pub use floodgate_json::{Edit, EditError, Seen};
pub use floodgate_sdk_macros::handler;
pub use lane::Lane;
pub use outcome::{Change, Child, Outcome, Response};
