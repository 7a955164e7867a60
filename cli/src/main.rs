//! Floodgate.
fn main() {}
