//! A port with peers that make others wait.

// A harness for tests may stop at the first surprise.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod hoarders;
mod peers;
mod served;
mod stops;
