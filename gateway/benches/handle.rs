//! What one event costs in a handler, beside the same component under bare wasmtime: a pool and fresh instances, but no
//! deadline, no limits and no checks. Needs the example handler: `floodgate handler build handlers/redact`.

#![allow(missing_docs, clippy::expect_used)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use floodgate_gateway::handle::{Engine, Handler, Input, InputLane, Limits};
use prometheus::Registry;
use tokio::runtime::Runtime;

mod bare {
    use wasmtime::component::{Component, Linker, ResourceTable};
    use wasmtime::{Config, InstanceAllocationStrategy, Store};
    use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

    wasmtime::component::bindgen!({
        path: "../sdk/wit",
        world: "handler",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });

    use floodgate::handler::{log, types};

    #[derive(Default)]
    pub struct Guest {
        wasi: Option<WasiCtx>,
        resources: ResourceTable,
    }

    impl WasiView for Guest {
        fn ctx(&mut self) -> WasiCtxView<'_> {
            let ctx = self.wasi.get_or_insert_with(|| WasiCtx::builder().build());
            WasiCtxView { ctx, table: &mut self.resources }
        }
    }

    impl types::Host for Guest {}

    impl log::Host for Guest {
        fn log(&mut self, _level: log::Level, _message: String) {}
    }

    pub struct Bare(HandlerPre<Guest>);

    impl Bare {
        pub fn load(component: &[u8]) -> wasmtime::Result<Self> {
            let mut config = Config::new();
            config.concurrency_support(false).allocation_strategy(InstanceAllocationStrategy::pooling());
            let engine = wasmtime::Engine::new(&config)?;
            let mut linker = Linker::<Guest>::new(&engine);
            wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
            Handler::add_to_linker::<_, wasmtime::component::HasSelf<Guest>>(&mut linker, |guest| guest)?;
            let component = Component::from_binary(&engine, component)?;
            Ok(Self(HandlerPre::new(linker.instantiate_pre(&component)?)?))
        }

        pub async fn run(&self, event: types::Event<'_>) -> wasmtime::Result<Result<types::Outcome, String>> {
            let mut store = Store::new(self.0.engine(), Guest::default());
            let instance = self.0.instantiate_async(&mut store).await?;
            instance.call_handle(&mut store, event).await
        }
    }
}

const COMPONENT: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../handlers/target/wasm32-wasip2/release/redact.wasm");
const HEADERS: [(&str, &[u8]); 6] = [
    ("content-type", b"application/json"),
    ("user-agent", b"GitHub-Hookshot/0000000"),
    ("x-github-event", b"push"),
    ("x-github-delivery", b"72d3162e-cc78-11e3-81ab-4c9367dc0958"),
    ("x-hub-signature-256", b"sha256=0000000000000000000000000000000000000000000000000000000000000000"),
    ("accept", b"*/*"),
];

/// The fields of both bindings' events are the same; their types are not.
macro_rules! event {
    ($event:ident, $lane:expr, $type:expr, $body:expr) => {
        $event {
            id: "evt_00000000000000000000000001",
            tenant: "default",
            source: "github",
            type_: $type,
            provider_id: "72d3162e-cc78-11e3-81ab-4c9367dc0958",
            region: "eu",
            lane: $lane,
            method: "POST",
            path: "/in/github",
            query: "",
            headers: &HEADERS,
            body: $body,
            received_at: 1,
            params: r#"{"fields": ["email"]}"#,
        }
    };
}

fn body() -> Vec<u8> {
    let commits: Vec<_> = (0..8)
        .map(|n| serde_json::json!({"id": n, "author": {"email": "ada@example.com"}, "message": "x".repeat(60)}))
        .collect();
    serde_json::to_vec(&serde_json::json!({"ref": "refs/heads/main", "commits": commits})).expect("JSON")
}

fn handle(criterion: &mut Criterion) {
    let component =
        std::fs::read(COMPONENT).expect("build it first: floodgate handler build handlers/redact");
    let runtime = Runtime::new().expect("a runtime");
    let engine = Engine::new(Limits::default(), &Registry::new()).expect("an engine");
    let ours: Handler = engine.load(&component).expect("a handler");
    let bare = bare::Bare::load(&component).expect("a handler");
    let body = body();
    for (name, event_type) in [("drop", "ping"), ("redact 1 KiB", "push")] {
        let mut group = criterion.benchmark_group(name);
        group.bench_function("floodgate", |bencher| {
            bencher.iter(|| {
                let event = event!(Input, InputLane::Standard, event_type, &body);
                black_box(runtime.block_on(ours.run(event)))
            });
        });
        group.bench_function("bare wasmtime", |bencher| {
            bencher.iter(|| {
                use bare::floodgate::handler::types::{Event, Lane};
                let event = event!(Event, Lane::Standard, event_type, &body);
                black_box(runtime.block_on(bare.run(event)).is_ok())
            });
        });
    }
}

criterion_group!(benches, handle);
criterion_main!(benches);
