//! The yardstick: wasmtime with the settings of the gateway's engine, and a host that does nothing.

use floodgate_sandbox::Limits;
use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
use wasmtime::{Config, Enabled, PoolingAllocationConfig, Store, StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::event;

wasmtime::component::bindgen!({
    path: "../sdk/wit",
    world: "handler",
    ownership: Borrowing { duplicate_if_necessary: true },
});

use floodgate::handler::{counters, keys, log, panic, request, types};

pub(crate) struct Guest {
    wasi: Option<WasiCtx>,
    resources: ResourceTable,
    limits: StoreLimits,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let ctx = self.wasi.get_or_insert_with(|| WasiCtx::builder().build());
        WasiCtxView { ctx, table: &mut self.resources }
    }
}

impl types::Host for Guest {}

impl request::Host for Guest {
    fn get(&mut self) -> request::Request {
        request::Request {
            method: String::new(),
            path: String::new(),
            query: String::new(),
            headers: Vec::new(),
        }
    }
}

impl panic::Host for Guest {
    fn say(&mut self, _: u64, _: u64, _: u64, _: u64, _: u64, _: u64, _: u64, _: u64) {}
}

impl log::Host for Guest {
    fn log(&mut self, _level: log::Level, _message: String) {}
}

impl keys::Host for Guest {
    fn sign(&mut self, _key: String, _data: Vec<u8>) -> Vec<u8> {
        Vec::new()
    }

    fn verify(&mut self, _key: String, _data: Vec<u8>, _signature: Vec<u8>) -> bool {
        false
    }
}

impl counters::Host for Guest {
    fn add(&mut self, _name: String, _amount: u64) {}
}

/// A component ready to be instantiated.
pub(crate) struct Bare(HandlerPre<Guest>);

impl Bare {
    pub(crate) fn load(component: &[u8]) -> Self {
        let engine = wasmtime::Engine::new(&config()).expect("an engine");
        let mut linker = Linker::<Guest>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker).expect("WASI");
        Handler::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest).expect("the world");
        let component = Component::from_binary(&engine, component).expect("a component");
        let pre = linker.instantiate_pre(&component).expect("a handler");
        Self(HandlerPre::new(pre).expect("a handler"))
    }

    pub(crate) fn run_all(&self, count: usize, body: &[u8]) -> Vec<types::Outcome> {
        (0..count).map(|_| self.run(body).expect("no trap").expect("no error")).collect()
    }

    fn run(&self, body: &[u8]) -> wasmtime::Result<Result<types::Outcome, String>> {
        let limits = StoreLimitsBuilder::new().memory_size(16 << 20).build();
        let guest = Guest { wasi: None, resources: ResourceTable::new(), limits };
        let mut store = Store::new(self.0.engine(), guest);
        store.limiter(|guest| &mut guest.limits);
        // There is no ticker: an epoch is compared, and never reached.
        store.set_epoch_deadline(1);
        let instance = self.0.instantiate(&mut store)?;
        instance.call_handle(&mut store, input(body))
    }
}

/// The gateway's settings, as far as they matter to speed.
fn config() -> Config {
    let mut pool = PoolingAllocationConfig::new();
    let scan = PoolingAllocationConfig::is_pagemap_scan_available();
    pool.total_component_instances(Limits::default().instances)
        .linear_memory_keep_resident(4 << 20)
        .table_keep_resident(1 << 20)
        .max_memory_size(128 << 20)
        .total_gc_heaps(0)
        .pagemap_scan(if scan { Enabled::Yes } else { Enabled::No });
    let mut config = Config::new();
    config.epoch_interruption(true).concurrency_support(false).gc_support(false).allocation_strategy(pool);
    config
}

fn input(body: &[u8]) -> types::Event<'_> {
    types::Event {
        id: event::ID,
        tenant: "default",
        source: "github",
        type_: "push",
        provider_id: "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        region: "eu",
        lane: types::Lane::Standard,
        body,
        received_at: 1,
        params: event::PARAMS,
    }
}
