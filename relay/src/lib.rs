//! Floodgate.
