//! Counters that show among the gateway's metrics, by handler.

/// Adds to a counter that the source's binding grants; any other ends the handler.
/// Does nothing in a native test.
pub fn add(name: &str, amount: u64) {
    #[cfg(target_arch = "wasm32")]
    crate::glue::count(name, amount);
    #[cfg(not(target_arch = "wasm32"))]
    let _ = (name, amount);
}
