//! The WebAssembly engine of a gateway process.

use std::io;
use std::sync::Arc;

use floodgate_event::Name;
use prometheus::{IntCounter, Registry};
use tokio::sync::Semaphore;
use wasmtime::component::Linker;
use wasmtime::{Config, Enabled, PoolingAllocationConfig};

use super::guest::{self, Guest};
use super::limits::{InvalidLimit, Limits};
use super::metrics::Metrics;
use super::ticker::Ticker;
use super::{Handler, LoadError};
use super::{contract, inspect, swap};

/// Stack of a guest's native frames, in bytes. A Rust guest keeps its data in a stack of its own in linear memory.
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
}

impl Engine {
    /// Starts an engine, its ticker thread and its metrics.
    ///
    /// # Errors
    /// If a limit makes no sense, the machine cannot reserve the address space, or the metrics are there already.
    pub fn new(limits: Limits, registry: &Registry) -> Result<Self, EngineError> {
        limits.check()?;
        let wasm = wasmtime::Engine::new(&config(&limits)).map_err(EngineError::Wasm)?;
        let linker = contract::linker(&wasm).map_err(EngineError::Wasm)?;
        let metrics = Metrics::register(registry)?;
        let ticker = Ticker::spawn(&wasm).map_err(EngineError::Ticker)?;
        let slots = Semaphore::new(limits.instances as usize);
        Ok(Self(Arc::new(Inner { wasm, linker, limits, metrics, slots, ticker })))
    }

    /// Compiles a component and checks that it is a handler. Blocks, for seconds if the component is large.
    ///
    /// # Errors
    /// If it is not a component, too large, does not export `handle` as the world has it, or imports something else.
    pub fn load(&self, component: &[u8]) -> Result<Handler, LoadError> {
        inspect::check(component, &self.0.limits)?;
        self.0.ticker.start();
        Handler::compile(self.clone(), component)
    }

    pub(crate) fn wasm(&self) -> &wasmtime::Engine {
        &self.0.wasm
    }

    pub(crate) fn linker(&self) -> &Linker<Guest> {
        &self.0.linker
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The metric of a counter that a handler is granted.
    pub fn counter(&self, handler: &Name, counter: &Name) -> IntCounter {
        self.0.metrics.counter(handler, counter)
    }

    /// One permit per instance that the pool has room for.
    pub(crate) fn slots(&self) -> &Semaphore {
        &self.0.slots
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

fn config(limits: &Limits) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(ASYNC_STACK_BYTES)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(BACKTRACE_FRAMES))
        .concurrency_support(false)
        .gc_support(false)
        .wasm_memory64(false)
        .allocation_strategy(pool(limits));
    // A replay must give the same bytes on any machine.
    config.cranelift_nan_canonicalization(true).relaxed_simd_deterministic(true);
    config
}

fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let scan = !swap::may_be_on() && PoolingAllocationConfig::is_pagemap_scan_available();
    let (memory, table) = if scan { KEEP_SCANNED } else { KEEP_CLEARED };
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
        .max_memory_size(limits.memory_bytes)
        .linear_memory_keep_resident(memory.min(limits.memory_bytes))
        .table_keep_resident(table)
        .pagemap_scan(if scan { Enabled::Yes } else { Enabled::No });
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
