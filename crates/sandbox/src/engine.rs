//! The WebAssembly engine of a gateway process.

use std::hash::{Hash as _, Hasher};
use std::io;
use std::sync::Arc;

use floodgate_event::source::HandlerLimits;
use floodgate_event::{Digest256, Name};
use prometheus::{IntCounter, Registry};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use wasmtime::component::Linker;
use wasmtime::{Config, Enabled, PoolingAllocationConfig};

use crate::contract;
use crate::guest::{self, Guest};
use crate::limits::{InvalidLimit, Limits, OutOfRange, RunLimits};
use crate::metrics::Metrics;
use crate::swap::SwapDevices;
use crate::ticker::Ticker;

/// The stack of a guest's native frames, in bytes. A Rust guest keeps its data in another stack, in linear
/// memory.
const WASM_STACK_BYTES: usize = 512 * 1024;
/// The stack that guest and host share, in bytes.
const ASYNC_STACK_BYTES: usize = 1024 * 1024;
/// How many bytes of a guest's memory a slot keeps for the next instance, if a scan finds the dirty pages.
const KEEP_SCANNED: (usize, usize) = (4 * 1024 * 1024, 1024 * 1024);
/// The same without a scan: then all kept bytes are cleared each time.
const KEEP_CLEARED: (usize, usize) = (256 * 1024, 64 * 1024);
/// The most frames of a trap's backtrace.
const BACKTRACE_FRAMES: usize = 8;

/// The engine that compiles and runs handlers. One per process; clones share it.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    wasm: wasmtime::Engine,
    linker: Linker<Guest>,
    limits: Limits,
    metrics: Metrics,
    slots: Semaphore,
    ticker: Ticker,
    swaps: SwapDevices,
    /// True if a scan finds the pages to reset between two events.
    scans: bool,
}

impl Engine {
    /// Starts an engine, its ticker thread and its metrics.
    ///
    /// # Errors
    /// If a limit makes no sense, the machine cannot reserve the address space, or the
    /// metrics are there already.
    pub fn new(limits: Limits, registry: &Registry) -> Result<Self, EngineError> {
        Self::with_swap_devices(SwapDevices::default(), limits, registry)
    }

    /// Starts an engine as [`Self::new`] does, on a machine whose swap devices are listed elsewhere.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_swap_devices(
        swaps: SwapDevices,
        limits: Limits,
        registry: &Registry,
    ) -> Result<Self, EngineError> {
        limits.check()?;
        let scans = !swaps.may_be_on() && PoolingAllocationConfig::is_pagemap_scan_available();
        let wasm = wasmtime::Engine::new(&config(&limits, scans)).map_err(EngineError::Wasm)?;
        let linker = contract::linker(&wasm).map_err(EngineError::Wasm)?;
        let metrics = Metrics::register(registry)?;
        let ticker = Ticker::spawn(&wasm).map_err(EngineError::Ticker)?;
        let slots = Semaphore::new(limits.instances as usize);
        Ok(Self(Arc::new(Inner { wasm, linker, limits, metrics, slots, ticker, swaps, scans })))
    }

    /// Returns true if one event's data might be seen by the next: this engine relies on swap being off, and
    /// swap was turned on since. Only a new engine helps.
    pub fn is_unsafe(&self) -> bool {
        self.0.scans && self.0.swaps.may_be_on()
    }

    /// Returns true if the engine relies on swap being off, which makes it faster. Not every kernel supports
    /// that.
    pub fn relies_on_no_swap(&self) -> bool {
        self.0.scans
    }

    /// Identifies engines that can run each other's code.
    pub(crate) fn compatibility(&self) -> Digest256 {
        let mut hasher = Sha256Hasher(Sha256::new());
        self.wasm().precompile_compatibility_hash().hash(&mut hasher);
        Digest256::from_bytes(hasher.0.finalize().into())
    }

    /// Interrupts guests that run too long, from now on.
    pub(crate) fn start_ticking(&self) {
        self.0.ticker.start();
    }

    #[inline]
    pub(crate) fn wasm(&self) -> &wasmtime::Engine {
        &self.0.wasm
    }

    pub(crate) fn linker(&self) -> &Linker<Guest> {
        &self.0.linker
    }

    /// Returns the limits of this process, which no binding can exceed.
    #[inline]
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Returns the metrics of all handlers that run on this engine.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Returns the limits of a binding.
    ///
    /// # Errors
    /// If it asks for more than this process gives.
    pub fn resolve(&self, asked: &HandlerLimits) -> Result<RunLimits, OutOfRange> {
        self.0.limits.resolve(asked)
    }

    /// Returns the metric of a counter that a handler is granted.
    pub fn counter(&self, handler: &Name, counter: &Name) -> IntCounter {
        self.0.metrics.counter(handler, counter)
    }

    /// One permit for each instance that the pool has room for.
    pub(crate) fn slots(&self) -> &Semaphore {
        &self.0.slots
    }

    /// Returns how many instances run now, of all handlers.
    pub fn instances_in_use(&self) -> usize {
        (self.0.limits.instances as usize).saturating_sub(self.0.slots.available_permits())
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

/// Hashes by SHA-256. The standard library's hashers may change between builds, and may collide.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        // `Hash` only writes. The caller takes the whole digest.
        0
    }
}

/// The settings of the engine. All processes of one version of this program have the same ones, apart from
/// the size of the pool: code that one process compiles is run by another.
fn config(limits: &Limits, scans: bool) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(ASYNC_STACK_BYTES)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(BACKTRACE_FRAMES))
        .concurrency_support(false)
        .gc_support(false)
        .wasm_exceptions(false)
        .wasm_memory64(false)
        .allocation_strategy(pool(limits, scans));
    // A replay must give the same bytes on any machine.
    config.cranelift_nan_canonicalization(true).relaxed_simd_deterministic(true);
    config
}

fn pool(limits: &Limits, scans: bool) -> PoolingAllocationConfig {
    let (memory, table) = if scans { KEEP_SCANNED } else { KEEP_CLEARED };
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(limits.instances)
        .total_stacks(limits.instances)
        .total_core_instances(limits.instances * guest::MAX_CORE_INSTANCES)
        .max_core_instances_per_component(guest::MAX_CORE_INSTANCES)
        .total_gc_heaps(0)
        .total_memories(limits.instances * guest::MAX_MEMORIES)
        .max_memories_per_component(guest::MAX_MEMORIES)
        .total_tables(limits.instances * guest::MAX_TABLES)
        .max_tables_per_component(guest::MAX_TABLES)
        .table_elements(guest::MAX_TABLE_ELEMENTS)
        .max_memory_size(limits.max_memory_bytes)
        .linear_memory_keep_resident(memory.min(limits.max_memory_bytes))
        .table_keep_resident(table)
        .pagemap_scan(if scans { Enabled::Yes } else { Enabled::No });
    pool
}

/// Why an engine could not start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A limit in the configuration is out of its bounds.
    #[error(transparent)]
    Limit(#[from] InvalidLimit),
    /// The machine cannot run the engine: most likely it cannot reserve address space for this many
    /// instances.
    #[error("the WebAssembly engine does not start")]
    Wasm(#[source] wasmtime::Error),
    /// The thread that interrupts handlers does not start.
    #[error("the handlers' ticker thread does not start")]
    Ticker(#[source] io::Error),
    /// The registry has metrics of these names already: a process has one engine.
    #[error("the handlers' metrics cannot be registered")]
    Metrics(#[from] prometheus::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(limits: Limits) -> Engine {
        Engine::new(limits, &Registry::new()).unwrap()
    }

    #[test]
    fn swap_that_is_turned_on_makes_an_engine_that_scans_unsafe() {
        let list = tempfile::NamedTempFile::new().unwrap();
        let swaps = SwapDevices::listed_in(list.path());
        let limits = || Limits { instances: 1, max_memory_bytes: 1 << 20, ..Limits::default() };
        std::fs::write(list.path(), "Filename\n").unwrap();
        let engine = Engine::with_swap_devices(swaps.clone(), limits(), &Registry::new()).unwrap();
        assert!(!engine.is_unsafe());
        std::fs::write(list.path(), "Filename\n/dev/sda2\n").unwrap();
        assert_eq!(engine.is_unsafe(), PoolingAllocationConfig::is_pagemap_scan_available());
        let new = Engine::with_swap_devices(swaps, limits(), &Registry::new()).unwrap();
        assert!(!new.is_unsafe(), "it was made for this");
    }

    #[test]
    fn code_fits_every_engine_of_this_program_whatever_its_sizes() {
        let one = engine(Limits { instances: 1, max_memory_bytes: 1 << 20, ..Limits::default() });
        let many = engine(Limits { instances: 32, ..Limits::default() });
        assert_eq!(one.compatibility(), many.compatibility());
        let other = wasmtime::Engine::new(Config::new().consume_fuel(true)).unwrap();
        let mut hasher = Sha256Hasher(Sha256::new());
        other.precompile_compatibility_hash().hash(&mut hasher);
        assert_ne!(Digest256::from_bytes(hasher.0.finalize().into()), one.compatibility());
    }
}
