//! Counters of your own, which gateways export as the metric `floodgate_handler_counter_total` with the
//! labels `handler` and `counter`.

/// Adds `amount` to the counter `name`; of a larger amount than 2^32, 2^32 is added.
///
/// A counter that the binding's `grants.counters` does not name ends the handler in a fault of kind `grant`;
/// the call does not return. In a native test this does nothing.
pub fn add(name: &str, amount: u64) {
    crate::host::count(name, amount);
}
