//! Guests: each is a core module in text form around one `handle`, made a component by the tools that real guests are
//! made with.

use prometheus::Registry;
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

use crate::handle::{Engine, Handler, Input, InputLane, Limits};

pub(crate) fn engine() -> Engine {
    let limits = Limits { instances: 16, ..Limits::default() };
    Engine::new(limits, &Registry::new()).unwrap()
}

/// A component whose `handle` has this body. It gets the event's place in `$event` and leaves the place of a
/// `result<outcome, string>` on the stack; 1024 is free, and all zeros there say `ok(pass)`.
pub(crate) fn component(handle: &str) -> Vec<u8> {
    guest("", handle)
}

/// The same, with `$sign`, `$verify` and `$add` to call.
pub(crate) fn with_imports(handle: &str) -> Vec<u8> {
    let imports = r#"
            (import "floodgate:handler/keys@0.1.0" "sign" (func $sign (param i32 i32 i32 i32 i32)))
            (import "floodgate:handler/keys@0.1.0" "verify"
                (func $verify (param i32 i32 i32 i32 i32 i32) (result i32)))
            (import "floodgate:handler/counters@0.1.0" "add" (func $add (param i32 i32 i64)))"#;
    guest(imports, handle)
}

fn guest(imports: &str, handle: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            (import "floodgate:handler/log@0.1.0" "log" (func $log (param i32 i32 i32))){imports}
            (memory (export "memory") 1)
            (global $free (mut i32) (i32.const 8192))
            (global $count (mut i32) (i32.const 0))
            (data (i32.const 16) "a header\r\nor two")
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
                (global.set $free (i32.add (local.get $at) (local.get 3)))
                (local.get $at))
            (func $recurse (result i32) (i32.add (call $recurse) (i32.const 1)))
            (func (export "handle") (param $event i32) (result i32) {handle}))"#
    );
    let mut module = wat::parse_str(text).unwrap();
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk/wit")).unwrap();
    let world = resolve.select_world(&[package], Some("handler")).unwrap();
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap()
}

pub(crate) fn load(engine: &Engine, handle: &str) -> Handler {
    engine.load(&component(handle)).unwrap()
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
        method: "POST",
        path: "/in/test",
        query: "",
        headers: &[("x-a", b"1")],
        body: b"{}",
        received_at: 1,
        params: "{}",
    }
}

/// Never returns.
pub(crate) const SPIN: &str = "(loop $again (br $again)) (unreachable)";
/// `ok(pass)`.
pub(crate) const PASS: &str = "(i32.const 1024)";
