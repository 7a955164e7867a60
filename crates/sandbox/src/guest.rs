//! What the host keeps about one instance while it runs.

use std::sync::Arc;

use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::context::Context;
use crate::log::Lines;
use crate::meter::Meter;
use crate::services::Services;
use crate::wasi::{self, ClockAndSeed};

/// The most core instances of one component. Rust's have 4, and those of JavaScript and Python more.
pub(crate) const MAX_CORE_INSTANCES: u32 = 20;
/// The most linear memories of one component.
pub(crate) const MAX_MEMORIES: u32 = 2;
/// The most tables of one component.
pub(crate) const MAX_TABLES: u32 = 8;
/// The most elements of one table. Python's have 9,000.
pub(crate) const MAX_TABLE_ELEMENTS: usize = 20_000;
/// The most host resources (streams, pollables) that a guest may hold.
const MAX_RESOURCES: usize = 64;
/// The most handles of any kind that a guest may hold, including those of its own resources.
pub(crate) const MAX_HANDLES: usize = 1_000;

/// The state of one run of one instance.
pub(crate) struct Guest {
    /// Made at the first call, because most handlers import WASI and never call it.
    wasi: Option<WasiCtx>,
    resources: ResourceTable,
    memory: Memory,
    services: Services,
    meter: Arc<Meter>,
}

impl Guest {
    pub(crate) fn new(memory_bytes: usize, context: Context, meter: Arc<Meter>) -> Self {
        let mut resources = ResourceTable::new();
        resources.set_max_capacity(MAX_RESOURCES);
        let memory = Memory { most: memory_bytes, taken: 0, refused: false };
        let services = Services { context, lines: Lines::default() };
        Self { wasi: None, resources, memory, services, meter }
    }

    pub(crate) fn services(&mut self) -> &mut Services {
        &mut self.services
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    pub(crate) fn memory_mut(&mut self) -> &mut Memory {
        &mut self.memory
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    pub(crate) fn into_log(self) -> Lines {
        self.services.into_lines()
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let ctx = self.wasi.get_or_insert_with(|| wasi::inert(ClockAndSeed::of(&self.services.context)));
        WasiCtxView { ctx, table: &mut self.resources }
    }
}

/// How much memory an instance may take and has taken, over all of its linear memories.
#[derive(Debug)]
pub(crate) struct Memory {
    most: usize,
    taken: usize,
    refused: bool,
}

impl Memory {
    /// Returns true if the guest asked for more memory than it may have. If it traps after that, this is the
    /// reason.
    pub(crate) fn refused(&self) -> bool {
        self.refused
    }

    /// How many bytes the guest has. It cannot give any back.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _most: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let taken = self.taken.saturating_add(desired.saturating_sub(current));
        let fits = taken <= self.most;
        self.refused |= !fits;
        self.taken = if fits { taken } else { self.taken };
        Ok(fits)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _most: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let fits = desired <= MAX_TABLE_ELEMENTS;
        self.refused |= !fits;
        Ok(fits)
    }

    fn instances(&self) -> usize {
        MAX_CORE_INSTANCES as usize
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES as usize
    }

    fn tables(&self) -> usize {
        MAX_TABLES as usize
    }
}
