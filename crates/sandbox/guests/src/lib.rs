//! Guests for tests: each is a core module in text form around one `handle`, made a component by the tools
//! that real guests are made with. The tests of the sandbox and of the gateway's handler chain share them.

// Text that does not assemble is a mistake in a test, which should end there.
#![allow(clippy::unwrap_used)]

use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

/// The world of handlers.
pub const WORLD: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../sdk/wit/handler.wit"));
/// What a guest may import of WASI.
const WASI: &str = include_str!("wasi.wit");
const REALLOC: &str = "(local $at i32)
    (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.set $free (i32.add (local.get $at) (local.get 3)))
    (local.get $at)";

/// The parts of a module that tests change.
#[derive(Clone, Copy)]
pub struct Guest<'a> {
    /// Fields that stand before all others.
    pub imports: &'a str,
    /// The limits of its memory, in pages.
    pub memory: &'a str,
    /// WebAssembly text of functions and data to put into the core module.
    pub fields: &'a str,
    /// The body of `cabi_realloc`: old place, old size, alignment and new size are parameters 0 to 3.
    pub realloc: &'a str,
    /// The body of `handle`. It gets the event's place in `$event` and leaves the place of a
    /// `result<outcome, string>` on the stack; 1024 is free, and all zeros there say `ok(pass)`.
    pub handle: &'a str,
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

    /// The component, of the world of handlers.
    pub fn component(&self) -> Vec<u8> {
        self.component_of(WORLD)
    }

    /// A component of another world.
    pub fn component_of(&self, world: &str) -> Vec<u8> {
        let mut module = wat::parse_str(self.text()).unwrap();
        let mut resolve = Resolve::default();
        resolve.push_str("handler.wit", world).unwrap();
        let package = resolve.push_str("wasi.wit", WASI).unwrap();
        let world = resolve.select_world(&[package], Some("hostile")).unwrap();
        wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
        ComponentEncoder::default().validate(false).module(&module).unwrap().encode().unwrap()
    }
}

/// A guest that differs in `handle` alone.
pub const fn handling(handle: &str) -> Guest<'_> {
    Guest { imports: "", memory: "1", fields: "", realloc: REALLOC, handle }
}

/// A component that differs from others in `handle` alone.
pub fn component(handle: &str) -> Vec<u8> {
    handling(handle).component()
}

/// A body that loops for ever.
pub const SPIN: &str = "(loop $again (br $again)) (unreachable)";
/// A body that returns the outcome `pass`.
pub const PASS: &str = "(i32.const 1024)";
