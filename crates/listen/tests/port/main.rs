//! A port with peers that make others wait.

// A harness for tests may stop at the first surprise.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod fuzz;
mod hoarders;
mod limits;
mod peers;
mod proxies;
mod served;
mod stops;
