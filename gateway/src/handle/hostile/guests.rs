//! Guests: each is a core module in text form around one `handle`, made a component by the tools
//! that real guests are made with.

use std::sync::Arc;

use bytes::Bytes;
use floodgate_event::proto::{Event, Header, Request};
use prometheus::Registry;
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

use crate::handle::{
    Context, Engine, Fault, FaultKind, Handler, Input, InputLane, Limits, LoadError, Outcome, Run,
};

/// The world of handlers.
pub(crate) const WORLD: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk/wit/handler.wit"));
/// What a guest may import of WASI.
const WASI: &str = include_str!("wasi.wit");
/// A bump allocator.
const REALLOC: &str = "(local $at i32)
    (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.set $free (i32.add (local.get $at) (local.get 3)))
    (local.get $at)";

pub(crate) fn engine() -> Engine {
    let limits = Limits { instances: 16, ..Limits::default() };
    Engine::new(limits, &Registry::new()).unwrap()
}

/// The parts of a module that tests change.
#[derive(Clone, Copy)]
pub(crate) struct Guest<'a> {
    /// Fields that stand before all others.
    pub(crate) imports: &'a str,
    /// The limits of its memory, in pages.
    pub(crate) memory: &'a str,
    /// Fields.
    pub(crate) fields: &'a str,
    /// The body of `cabi_realloc`: old place, old size, alignment and new size are parameters 0 to 3.
    pub(crate) realloc: &'a str,
    /// The body of `handle`. It gets the event's place in `$event` and leaves the place of a
    /// `result<outcome, string>` on the stack; 1024 is free, and all zeros there say `ok(pass)`.
    pub(crate) handle: &'a str,
}

impl Default for Guest<'_> {
    fn default() -> Self {
        Self { imports: "", memory: "1", fields: "", realloc: REALLOC, handle: PASS }
    }
}

impl Guest<'_> {
    fn text(&self) -> String {
        let Self { imports, memory, fields, realloc, handle } = self;
        format!(
            r#"(module
            (import "floodgate:handler/log@0.1.0" "log" (func $log (param i32 i32 i32)))
            {imports}
            (memory (export "memory") {memory})
            (global $free (mut i32) (i32.const 8192))
            (global $count (mut i32) (i32.const 0))
            (data (i32.const 16) "a header\r\nor two")
            {fields}
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {realloc})
            (func $recurse (result i32) (i32.add (call $recurse) (i32.const 1)))
            (func (export "handle") (param $event i32) (result i32) {handle}))"#
        )
    }

    pub(crate) fn component(&self) -> Vec<u8> {
        self.component_of(WORLD)
    }

    /// A component of another world.
    pub(crate) fn component_of(&self, world: &str) -> Vec<u8> {
        let mut module = wat::parse_str(self.text()).unwrap();
        let mut resolve = Resolve::default();
        resolve.push_str("handler.wit", world).unwrap();
        let package = resolve.push_str("wasi.wit", WASI).unwrap();
        let world = resolve.select_world(&[package], Some("hostile")).unwrap();
        wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
        ComponentEncoder::default().validate(false).module(&module).unwrap().encode().unwrap()
    }

    pub(crate) fn load(&self, engine: &Engine) -> Result<Handler, LoadError> {
        engine.load(&self.component())
    }

    /// Runs it over one event; a neighbour on the same engine must answer afterwards.
    pub(crate) async fn run(&self) -> Run {
        let engine = engine();
        let run = self.load(&engine).unwrap().run(input(), &context()).await;
        unharmed(&engine).await;
        run
    }

    /// How it fails.
    pub(crate) async fn fault(&self) -> Fault {
        self.run().await.result.unwrap_err()
    }

    /// In which way it fails.
    pub(crate) async fn kind(&self) -> FaultKind {
        self.fault().await.kind()
    }
}

/// A guest that differs in `handle` alone.
pub(crate) const fn handling(handle: &str) -> Guest<'_> {
    Guest { imports: "", memory: "1", fields: "", realloc: REALLOC, handle }
}

/// Another handler on this engine answers as ever.
pub(crate) async fn unharmed(engine: &Engine) {
    assert_eq!(load(engine, PASS).run(input(), &Default::default()).await.result, Ok(Outcome::Pass));
}

pub(crate) fn component(handle: &str) -> Vec<u8> {
    handling(handle).component()
}

pub(crate) fn load(engine: &Engine, handle: &str) -> Handler {
    handling(handle).load(engine).unwrap()
}

pub(crate) fn input() -> Input<'static> {
    Input {
        id: "evt_00000000000000000000000001",
        tenant: "default",
        source: "test",
        type_: "push",
        provider_id: "",
        region: "eu",
        lane: InputLane::Standard,
        body: b"{}",
        received_at: 1,
        params: "{}",
    }
}

/// The rest of that event.
pub(crate) fn context() -> Context {
    let header = Header { name: "x-a".into(), value: Bytes::from_static(b"1") };
    let request = Request { method: "POST".into(), headers: vec![header], ..Request::default() };
    let event = Event { id: vec![1; 16], received_at_us: 1, request: Some(request), ..Event::default() };
    Context::new(Arc::new(event), Arc::default())
}

/// Bytes of memory that this process holds.
pub(crate) fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Never returns.
pub(crate) const SPIN: &str = "(loop $again (br $again)) (unreachable)";
/// `ok(pass)`.
pub(crate) const PASS: &str = "(i32.const 1024)";
