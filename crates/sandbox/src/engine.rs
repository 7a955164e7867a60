//! The WebAssembly engine of a gateway process.

use std::hash::{Hash as _, Hasher};
use std::io;
use std::sync::Arc;

use floodgate_event::Name;
use floodgate_event::snapshot::Digest256;
use floodgate_event::source::HandlerLimits;
use prometheus::{IntCounter, Registry};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use wasmtime::component::Linker;
use wasmtime::{Config, Enabled, PoolingAllocationConfig};

use crate::contract;
use crate::guest::{self, Guest};
use crate::limits::{InvalidLimit, Limits, OutOfRange, RunLimits};
use crate::metrics::Metrics;
use crate::swap::Swaps;
use crate::ticker::Ticker;

/// Stack of a guest's native frames, in bytes. A Rust guest keeps its data in a stack
/// of its own in linear memory.
const WASM_STACK_BYTES: usize = 512 * 1024;
/// Stack that guest and host share, in bytes.
const ASYNC_STACK_BYTES: usize = 1024 * 1024;
/// What a slot keeps of a guest's memory for the next instance, in bytes, where a scan finds the dirty pages.
const KEEP_SCANNED: (usize, usize) = (4 * 1024 * 1024, 1024 * 1024);
/// The same where each kept byte is cleared every time.
const KEEP_CLEARED: (usize, usize) = (256 * 1024, 64 * 1024);
/// Frames of a trap's backtrace.
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
    swaps: Swaps,
    /// Whether a scan finds the pages to reset between two events.
    scans: bool,
}

impl Engine {
    /// Starts an engine, its ticker thread and its metrics.
    ///
    /// # Errors
    /// If a limit makes no sense, the machine cannot reserve the address space, or the
    /// metrics are there already.
    pub fn new(limits: Limits, registry: &Registry) -> Result<Self, EngineError> {
        Self::beside(Swaps::default(), limits, registry)
    }

    /// The same on a machine whose swap devices are listed elsewhere.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn beside(swaps: Swaps, limits: Limits, registry: &Registry) -> Result<Self, EngineError> {
        limits.check()?;
        let scans = !swaps.may_be_on() && PoolingAllocationConfig::is_pagemap_scan_available();
        let wasm = wasmtime::Engine::new(&config(&limits, scans)).map_err(EngineError::Wasm)?;
        let linker = contract::linker(&wasm).map_err(EngineError::Wasm)?;
        let metrics = Metrics::register(registry)?;
        let ticker = Ticker::spawn(&wasm).map_err(EngineError::Ticker)?;
        let slots = Semaphore::new(limits.instances as usize);
        Ok(Self(Arc::new(Inner { wasm, linker, limits, metrics, slots, ticker, swaps, scans })))
    }

    /// Whether one event's data might be seen by the next: swap was turned on since this engine was made,
    /// which relies on its being off. Only a new engine helps.
    pub fn is_unsafe(&self) -> bool {
        self.0.scans && self.0.swaps.may_be_on()
    }

    /// Whether it relies on swap being off; not every kernel lets it.
    pub fn relies_on_no_swap(&self) -> bool {
        self.0.scans
    }

    /// Tells apart engines that cannot run each other's code.
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

    /// The process's limits.
    #[inline]
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// The metrics of the handlers that run on it.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// What a binding gets that asks for this.
    ///
    /// # Errors
    /// If it asks for more than this process gives.
    pub fn resolve(&self, asked: &HandlerLimits) -> Result<RunLimits, OutOfRange> {
        self.0.limits.resolve(asked)
    }

    /// The metric of a counter that a handler is granted.
    pub fn counter(&self, handler: &Name, counter: &Name) -> IntCounter {
        self.0.metrics.counter(handler, counter)
    }

    /// One permit per instance that the pool has room for.
    pub(crate) fn slots(&self) -> &Semaphore {
        &self.0.slots
    }

    /// Instances that run now, of all handlers.
    pub fn instances_in_use(&self) -> usize {
        (self.0.limits.instances as usize).saturating_sub(self.0.slots.available_permits())
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

/// Hashes by SHA-256: the standard library's hashers may change from one build to the next, or collide.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        // `Hash` only writes; who hashes takes the whole digest.
        0
    }
}

/// The same in every process of a version of this program, but for what the pool reserves:
/// code that one process compiles is run by another.
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
    /// The configuration's fault.
    #[error(transparent)]
    Limit(#[from] InvalidLimit),
    /// The machine's fault: most likely it cannot reserve the address space for this many instances.
    #[error("the WebAssembly engine does not start")]
    Wasm(#[source] wasmtime::Error),
    /// The machine's fault.
    #[error("the handlers' ticker thread does not start")]
    Ticker(#[source] io::Error),
    /// The caller's fault.
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
        let swaps = Swaps::listed_in(list.path());
        let limits = || Limits { instances: 1, max_memory_bytes: 1 << 20, ..Limits::default() };
        std::fs::write(list.path(), "Filename\n").unwrap();
        let engine = Engine::beside(swaps.clone(), limits(), &Registry::new()).unwrap();
        assert!(!engine.is_unsafe());
        std::fs::write(list.path(), "Filename\n/dev/sda2\n").unwrap();
        assert_eq!(engine.is_unsafe(), PoolingAllocationConfig::is_pagemap_scan_available());
        let new = Engine::beside(swaps, limits(), &Registry::new()).unwrap();
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
