//! What single presets accept and refuse, beyond the vectors.

// Clippy allows `unwrap` inside `#[test]` functions, but not in the functions that they call.
#![allow(clippy::unwrap_used)]

mod adyen;
mod captured;
mod clear;
mod coinbase_cdp;
mod hubspot;
mod mailgun;
mod microsoft_graph;
mod round_trips;
mod secrets;
mod sendgrid;
mod signed;
mod standard;
mod support;
mod twilio;
