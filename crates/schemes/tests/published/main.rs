//! Schemes whose keys are published, and the one without keys. Nothing here needs a network: what an address
//! would publish is at hand.

// Clippy allows `unwrap` inside `#[test]` functions, but not in the functions that they call.
#![allow(clippy::unwrap_used)]

mod jwt;
mod mtls;
mod none;
mod paypal;
mod plaid;
mod sns;
mod support;
