//! Schemes whose keys are published, and the one without keys. Nothing here needs a network: what an address
//! would publish is at hand.

// Helpers are no tests to clippy, and a helper that fails is a test that does.
#![allow(clippy::unwrap_used)]

mod jwt;
mod mtls;
mod none;
mod paypal;
mod plaid;
mod sns;
mod support;
