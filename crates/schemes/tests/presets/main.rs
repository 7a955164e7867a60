//! What single presets accept and refuse, beyond the vectors.

// Helpers of tests are outside of tests for clippy.
#![allow(clippy::unwrap_used)]

mod adyen;
mod captured;
mod clear;
mod coinbase_cdp;
mod hubspot;
mod mailgun;
mod microsoft_graph;
mod round_trips;
mod signed;
mod support;
mod twilio;
