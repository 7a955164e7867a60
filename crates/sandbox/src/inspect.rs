//! Looks over a component before it is compiled, because compiling is the most expensive step of an upload.

use wasmparser::{BinaryReaderError, FunctionBody, Parser, Payload};

/// The most functions of a component. Python's, the most of all supported languages, has 33,000.
const MAX_FUNCTIONS: u64 = 60_000;
/// The most bytes of one function. The time to compile a function grows faster than its size.
const MAX_FUNCTION_BYTES: usize = 512 * 1024;
/// The most locals of one function.
const MAX_LOCALS: u64 = 10_000;
/// The most modules and components in a component, including itself.
const MAX_PARTS: usize = 100;
/// How deep components and modules may be nested.
const MAX_DEPTH: usize = 8;
/// The most entries of all sections: types, imports, exports, instances, segments and so on.
const MAX_ENTRIES: u64 = 200_000;

/// Checks size and shape, in time that grows with the size alone. Does not validate.
pub(crate) fn check(component: &[u8], most: usize) -> Result<(), Refused> {
    if wasmtime::Engine::detect_precompiled(component).is_some() {
        return Err(Refused::Precompiled);
    }
    if component.len() > most {
        return Err(Refused::TooLarge { found: component.len(), most });
    }
    if Parser::is_core_wasm(component) {
        return Err(Refused::CoreModule);
    }
    if !Parser::is_component(component) {
        return Err(Refused::NotWasm);
    }
    let mut tally = Tally::default();
    for payload in Parser::new(0).parse_all(component) {
        tally.add(&payload.map_err(Refused::Malformed)?)?;
    }
    Ok(())
}

/// What was counted so far, including nested modules and components.
#[derive(Default)]
struct Tally {
    functions: u64,
    entries: u64,
    parts: usize,
    depth: usize,
}

impl Tally {
    fn add(&mut self, payload: &Payload<'_>) -> Result<(), Refused> {
        match payload {
            Payload::Version { .. } => self.enter(),
            Payload::End(_) => {
                self.depth = self.depth.saturating_sub(1);
                Ok(())
            }
            Payload::CodeSectionEntry(body) => self.function(body),
            other => self.section(entries(other)),
        }
    }

    fn enter(&mut self) -> Result<(), Refused> {
        self.parts += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Refused::TooDeep);
        }
        if self.parts > MAX_PARTS { Err(Refused::TooManyParts) } else { Ok(()) }
    }

    fn function(&mut self, body: &FunctionBody<'_>) -> Result<(), Refused> {
        self.functions += 1;
        if self.functions > MAX_FUNCTIONS {
            return Err(Refused::TooManyFunctions);
        }
        let bytes = body.range().len();
        if bytes > MAX_FUNCTION_BYTES {
            return Err(Refused::FunctionTooLarge { found: bytes });
        }
        let found = locals(body).map_err(Refused::Malformed)?;
        if found > MAX_LOCALS { Err(Refused::TooManyLocals { found }) } else { Ok(()) }
    }

    fn section(&mut self, entries: u32) -> Result<(), Refused> {
        self.entries += u64::from(entries);
        if self.entries > MAX_ENTRIES { Err(Refused::TooManyEntries) } else { Ok(()) }
    }
}

/// Locals are declared in runs, so a few bytes can declare billions.
fn locals(body: &FunctionBody<'_>) -> Result<u64, BinaryReaderError> {
    body.get_locals_reader()?.into_iter().try_fold(0_u64, |sum, run| Ok(sum + u64::from(run?.0)))
}

/// The number of entries that a section declares.
fn entries(payload: &Payload<'_>) -> u32 {
    match payload {
        Payload::TypeSection(section) => section.count(),
        Payload::ImportSection(section) => section.count(),
        Payload::FunctionSection(section) => section.count(),
        Payload::TableSection(section) => section.count(),
        Payload::MemorySection(section) => section.count(),
        Payload::TagSection(section) => section.count(),
        Payload::GlobalSection(section) => section.count(),
        Payload::ExportSection(section) => section.count(),
        Payload::ElementSection(section) => section.count(),
        Payload::DataSection(section) => section.count(),
        Payload::InstanceSection(section) => section.count(),
        Payload::CoreTypeSection(section) => section.count(),
        Payload::ComponentInstanceSection(section) => section.count(),
        Payload::ComponentAliasSection(section) => section.count(),
        Payload::ComponentTypeSection(section) => section.count(),
        Payload::ComponentCanonicalSection(section) => section.count(),
        Payload::ComponentImportSection(section) => section.count(),
        Payload::ComponentExportSection(section) => section.count(),
        _ => 0,
    }
}

/// Why a component is refused before it is compiled. Always the fault of its author.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The bytes are machine code, which would run without any check.
    #[error("this is precompiled code; upload the WebAssembly component that it was made from")]
    Precompiled,
    /// The component is larger than the gateway accepts.
    #[error("the component has {found} bytes, and at most {most} are taken")]
    TooLarge {
        /// The bytes that the component has.
        found: usize,
        /// The most bytes that are accepted.
        most: usize,
    },
    /// The bytes are a core module, as targets other than `wasm32-wasip2` build.
    #[error("this is a core WebAssembly module, not a component; build it for the target wasm32-wasip2")]
    CoreModule,
    /// The bytes are not WebAssembly.
    #[error("this is not a WebAssembly component")]
    NotWasm,
    /// The component is malformed.
    #[error("the component is malformed")]
    Malformed(#[source] BinaryReaderError),
    /// The component has too many functions to compile in time.
    #[error("the component has more than {MAX_FUNCTIONS} functions")]
    TooManyFunctions,
    /// A function is too large to compile in time.
    #[error("a function of the component has {found} bytes, and at most {MAX_FUNCTION_BYTES} are taken")]
    FunctionTooLarge {
        /// The bytes that the function has.
        found: usize,
    },
    /// A function has too many local variables to compile in time.
    #[error("a function of the component has {found} locals, and at most {MAX_LOCALS} are taken")]
    TooManyLocals {
        /// How many local variables it has.
        found: u64,
    },
    /// The component consists of too many modules and components.
    #[error("the component consists of more than {MAX_PARTS} modules and components")]
    TooManyParts,
    /// The component nests modules and components too deeply.
    #[error("modules and components stand in each other more than {MAX_DEPTH} deep")]
    TooDeep,
    /// The component has too many types, imports, exports, segments and the like.
    #[error("the component has more than {MAX_ENTRIES} types, imports, exports, segments and the like")]
    TooManyEntries,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 32 << 20;

    fn refusal(bytes: &[u8]) -> String {
        check(bytes, MOST).unwrap_err().to_string()
    }

    fn of_text(text: &str) -> Result<(), Refused> {
        check(&wat::parse_str(text).unwrap(), MOST)
    }

    #[test]
    fn what_is_not_a_component_is_refused() {
        assert_eq!(refusal(b"#!/bin/sh"), "this is not a WebAssembly component");
        assert_eq!(refusal(b""), "this is not a WebAssembly component");
        assert!(refusal(b"\0asm\x01\0\0\0").contains("wasm32-wasip2"));
        let error = check(b"\0asm\x0d\0\x01\0", 7).unwrap_err();
        assert_eq!(error.to_string(), "the component has 8 bytes, and at most 7 are taken");
        assert!(refusal(b"\0asm\x0d\0\x01\0\xff").contains("malformed"));
    }

    #[test]
    fn precompiled_code_is_refused() {
        let engine = wasmtime::Engine::default();
        let code = engine.precompile_component(&wat::parse_str("(component)").unwrap()).unwrap();
        assert!(refusal(&code).contains("precompiled"));
    }

    #[test]
    fn what_is_too_much_to_compile_is_refused() {
        let in_module = |fields: &str| of_text(&format!("(component (core module {fields}))"));
        assert!(matches!(in_module(&"(func)".repeat(60_001)), Err(Refused::TooManyFunctions)));
        let body = format!("(func {})", "(drop (i32.const 0))".repeat(200_000));
        assert!(matches!(in_module(&body), Err(Refused::FunctionTooLarge { .. })));
        let locals = format!("(func (local {}))", "i32 ".repeat(10_001));
        assert!(matches!(in_module(&locals), Err(Refused::TooManyLocals { found: 10_001 })));
        let types = "(type (func))".repeat(200_001);
        assert!(matches!(in_module(&types), Err(Refused::TooManyEntries)));
    }

    #[test]
    fn what_is_nested_too_deep_or_too_often_is_refused() {
        let deep = format!("{}{}", "(component ".repeat(9), ")".repeat(9));
        assert!(matches!(of_text(&deep), Err(Refused::TooDeep)));
        let many = format!("(component {})", "(core module)".repeat(100));
        assert!(matches!(of_text(&many), Err(Refused::TooManyParts)));
        let fine = format!("(component {})", "(core module)".repeat(99));
        assert!(of_text(&fine).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn checking_never_panics(tail: Vec<u8>) {
            let _ = check(&[b"\0asm\x0d\0\x01\0", &*tail].concat(), MOST);
        }
    }
}
