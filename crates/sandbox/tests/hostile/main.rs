//! Handlers that misbehave, and what becomes of them and of their neighbours. Nothing here looks at a clock:
//! a guest that is not stopped hangs its test, and each test ends by asking a neighbour on the same engine.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod grants;
mod guests;
mod memory;
mod output;
mod state;
mod time;
mod trap;
mod upload;
mod wasi;
