//! Looks over a component before it is compiled: compiling is where an upload can cost the most.

use wasmparser::{Encoding, Parser, Payload};

use super::limits::Limits;

/// The most functions of a component; the largest of the languages that can be guests (Python) has a third.
const MAX_FUNCTIONS: usize = 100_000;
/// The most bytes of one function: compiling grows faster than a function does.
const MAX_FUNCTION_BYTES: usize = 1024 * 1024;

/// Checks size and shape; does not validate.
pub(crate) fn check(component: &[u8], limits: &Limits) -> Result<(), Refused> {
    if wasmtime::Engine::detect_precompiled(component).is_some() {
        return Err(Refused::Precompiled);
    }
    if component.len() > limits.component_bytes {
        return Err(Refused::TooLarge { found: component.len(), most: limits.component_bytes });
    }
    if Parser::is_core_wasm(component) {
        return Err(Refused::CoreModule);
    }
    if !Parser::is_component(component) {
        return Err(Refused::NotWasm);
    }
    check_functions(component)
}

/// Walks into nested modules and components too.
fn check_functions(component: &[u8]) -> Result<(), Refused> {
    let mut functions = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(Refused::Malformed)? {
            Payload::Version { encoding: Encoding::Module | Encoding::Component, .. } => {}
            Payload::CodeSectionEntry(body) => {
                functions += 1;
                let bytes = body.range().len();
                if bytes > MAX_FUNCTION_BYTES {
                    return Err(Refused::FunctionTooLarge { found: bytes });
                }
                if functions > MAX_FUNCTIONS {
                    return Err(Refused::TooManyFunctions);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Why bytes are not even compiled. Always the fault of whoever made them.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Machine code would run without any check.
    #[error("this is precompiled code; upload the WebAssembly component that it was made from")]
    Precompiled,
    /// Over the limit.
    #[error("the component has {found} bytes, and at most {most} are taken")]
    TooLarge {
        /// Its size.
        found: usize,
        /// The limit.
        most: usize,
    },
    /// What other targets build.
    #[error("this is a core WebAssembly module, not a component; build it for the target wasm32-wasip2")]
    CoreModule,
    /// Anything else.
    #[error("this is not a WebAssembly component")]
    NotWasm,
    /// Broken.
    #[error("the component is malformed")]
    Malformed(#[source] wasmparser::BinaryReaderError),
    /// Over the limit.
    #[error("the component has more than {MAX_FUNCTIONS} functions")]
    TooManyFunctions,
    /// Over the limit.
    #[error("a function of the component has {found} bytes, and at most {MAX_FUNCTION_BYTES} are taken")]
    FunctionTooLarge {
        /// Its size.
        found: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8]) -> String {
        check(bytes, &Limits::default()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_not_a_component_is_refused() {
        assert_eq!(refusal(b"#!/bin/sh"), "this is not a WebAssembly component");
        assert_eq!(refusal(b""), "this is not a WebAssembly component");
        assert!(refusal(b"\0asm\x01\0\0\0").contains("wasm32-wasip2"));
        let short = Limits { component_bytes: 7, ..Limits::default() };
        let error = check(b"\0asm\x0d\0\x01\0", &short).unwrap_err();
        assert_eq!(error.to_string(), "the component has 8 bytes, and at most 7 are taken");
        assert!(refusal(b"\0asm\x0d\0\x01\0\xff").contains("malformed"));
    }

    #[test]
    fn precompiled_code_is_refused() {
        let engine = wasmtime::Engine::default();
        let code = engine.precompile_component(&wat::parse_str("(component)").unwrap()).unwrap();
        assert!(refusal(&code).contains("precompiled"));
    }

    proptest::proptest! {
        #[test]
        fn checking_never_panics(tail: Vec<u8>) {
            let _ = check(&[b"\0asm\x0d\0\x01\0", &*tail].concat(), &Limits::default());
        }
    }
}
