//! Uploads that are no handlers.

use floodgate_sandbox::{Engine, LoadError};

use super::guests::{Guest, PASS, Try, WORLD, component, engine, handling, unharmed};

fn refusal(engine: &Engine, bytes: &[u8]) -> String {
    match engine.load(bytes) {
        Err(LoadError::Compile(error)) => format!("the component does not compile: {error:?}"),
        Err(error) => error.to_string(),
        Ok(_) => panic!("it loads"),
    }
}

fn of_text(engine: &Engine, text: &str) -> String {
    refusal(engine, &wat::parse_str(text).unwrap())
}

#[tokio::test]
async fn what_is_no_handler_is_refused_and_named() {
    let engine = engine();
    let import = of_text(&engine, r#"(component (import "acme:net/fetch@1.0.0" (instance)))"#);
    assert!(
        import.contains("`acme:net/fetch@1.0.0`") && import.contains("floodgate:handler/log"),
        "{import}"
    );
    for (what, text) in [
        (
            "a function that is not there",
            r#"(component (import "floodgate:handler/log@0.1.0" (instance (export "erase" (func)))))"#,
        ),
        (
            "another type",
            r#"(component (import "floodgate:handler/log@0.1.0" (instance (export "log" (func (param "a" u64))))))"#,
        ),
        (
            "another version",
            r#"(component (import "floodgate:handler/log@9.9.9" (instance (export "log" (func)))))"#,
        ),
        (
            "another interface",
            r#"(component (import "floodgate:handler/lug@0.1.0" (instance (export "log" (func)))))"#,
        ),
        (
            "WASI that is not there",
            r#"(component (import "wasi:cli/shell@0.2.0" (instance (export "run" (func)))))"#,
        ),
        (
            "an export of another type",
            r#"(component (core module $m (func (export "h"))) (core instance $i (instantiate $m))
                (func (export "handle") (canon lift (core func $i "h"))))"#,
        ),
    ] {
        let refusal = of_text(&engine, text);
        assert!(refusal.contains("does not fit the world"), "{what}: {refusal}");
    }
    for text in ["(component)", r#"(component (core module $m) (export "handle" (core module $m)))"#] {
        let refusal = of_text(&engine, text);
        assert!(
            refusal.contains("does not export `handle`") || refusal.contains("fit the world"),
            "{refusal}"
        );
    }
    unharmed(&engine).await;
}

/// `handle` is called without another look at its type: all that differs in it must be found
/// here, down to names and cases.
#[tokio::test]
async fn worlds_that_differ_in_one_place_are_refused() {
    let engine = engine();
    for (from, to) in [
        ("received-at: u64", "received-at: s64"),
        ("received-at: u64", "accepted-at: u64"),
        ("provider-id: string", "provider-id: list<u8>"),
        ("params: string,", "params: string, more: string,"),
        (" lane: lane,", " lane: option<lane>,"),
        ("        bulk,\n", ""),
        ("body: option<list<u8>>", "body: option<list<u16>>"),
        ("body: option<list<u8>>", "body: list<u8>"),
        ("status: u16", "status: u32"),
        ("deliver: bool", "deliver: u8"),
        ("        id: string,\n        tenant: string,", "        tenant: string,\n        id: string,"),
        ("        critical,\n        standard,", "        standard,\n        critical,"),
        ("        pass,\n", "        let-go,\n"),
        ("deliver: bool,", "deliver: bool, more: bool,"),
        ("drop(string)", "discard(string)"),
        ("drop(string)", "drop"),
        ("        respond(response),\n", ""),
        ("respond(response),", "respond(response), more,"),
        ("split(list<child>)", "split(list<change>)"),
        ("-> result<outcome, string>", "-> result<outcome>"),
        ("-> result<outcome, string>", "-> result<outcome, list<u8>>"),
        ("-> result<outcome, string>", "-> result<string, outcome>"),
        ("-> result<outcome, string>;", "-> list<outcome>;"),
    ] {
        assert_eq!(WORLD.matches(from).count(), 1, "{from}");
        let altered = handling(PASS).component_of(&WORLD.replace(from, to));
        let Err(error) = engine.load(&altered) else { panic!("{from} -> {to} loads") };
        assert!(error.to_string().contains("does not fit the world"), "{from} -> {to}: {error}");
    }
    unharmed(&engine).await;
}

#[tokio::test]
async fn what_is_no_component_is_refused() {
    let engine = engine();
    let whole = component(PASS);
    let code = engine.precompile(&whole).unwrap();
    assert!(refusal(&engine, code.as_bytes()).contains("precompiled"));
    assert!(of_text(&engine, "(module)").contains("core WebAssembly module"));
    for cut in [9, whole.len() / 3, whole.len() / 2, whole.len() - 1] {
        refusal(&engine, &whole[..cut]);
    }
    unharmed(&engine).await;
}

#[tokio::test]
async fn altered_bytes_never_bring_the_engine_down() {
    let engine = engine();
    let whole = component(PASS);
    for at in (8..whole.len()).step_by(7) {
        let mut altered = whole.clone();
        altered[at] ^= 0x55;
        // Some are still handlers.
        let _ = engine.load(&altered);
    }
    unharmed(&engine).await;
}

#[tokio::test]
async fn proposals_that_are_off_are_refused() {
    let engine = engine();
    for (what, fields) in [
        ("memory64", "(memory i64 1)"),
        ("threads", "(memory 1 2 shared)"),
        ("garbage collection", "(type (struct (field i32)))"),
        ("garbage collection", "(type (array i8))"),
        ("exceptions", "(tag (param i32))"),
        ("stack switching", "(type $f (func)) (type (cont $f))"),
        ("custom page sizes", "(memory 1 (pagesize 1))"),
    ] {
        let text = format!("(component (core module {fields}))");
        let refusal = of_text(&engine, &text);
        assert!(refusal.contains("does not compile"), "{what}: {refusal}");
    }
    let asynchronous = r#"(component (core module $m (func (export "f") (result i32) unreachable) (func (export "c") (param i32 i32 i32) (result i32) unreachable))
        (core instance $i (instantiate $m)) (func (export "handle") async (canon lift (core func $i "f") async (callback (func $i "c")))))"#;
    if let Ok(bytes) = wat::parse_str(asynchronous) {
        refusal(&engine, &bytes);
    }
    unharmed(&engine).await;
}

#[tokio::test]
async fn what_is_too_much_to_compile_is_refused_before() {
    let engine = engine();
    let functions = "(func)".repeat(100_000);
    let body = format!("(func {})", "(drop (i32.const 1000))".repeat(250_000));
    let locals = format!("(func (local {}))", "i64 ".repeat(20_000));
    for (what, fields) in [("functions", &functions), ("a function of", &body), ("locals", &locals)] {
        let refused = Guest { fields, ..Guest::default() }.load(&engine);
        let Err(LoadError::Refused(refused)) = refused else { panic!("{what}: {refused:?}") };
        assert!(refused.to_string().contains(what), "{what}: {refused}");
    }
    unharmed(&engine).await;
}

#[tokio::test]
async fn components_of_too_many_or_too_deep_parts_are_refused() {
    let engine = engine();
    let instances = "(core instance (instantiate $m))".repeat(500);
    let deep_type = (0..400).fold(String::from("(type $t0 u8)"), |text, depth| {
        format!("{text}(type $t{} (list $t{depth}))", depth + 1)
    });
    let wide_type =
        format!("(type (record {}))", (0..9_000).map(|n| format!("(field \"f{n}\" u8)")).collect::<String>());
    for text in [
        format!("(component (core module $m (memory 1)) {instances})"),
        format!("(component {deep_type})"),
        format!("(component {wide_type})"),
        format!("{}{}", "(component ".repeat(50), ")".repeat(50)),
        format!("(component {})", "(core module (memory 1))".repeat(500)),
    ] {
        of_text(&engine, &text);
    }
    unharmed(&engine).await;
}

#[tokio::test]
async fn large_data_and_names_are_only_as_large_as_they_are() {
    let engine = engine();
    let before = super::guests::resident_bytes();
    // A few bytes at the far end of the largest memory, and a section that nothing reads.
    let far = Guest { memory: "256", fields: r#"(data (i32.const 16777200) "far")"#, ..Guest::default() };
    let handler = far.load(&engine).unwrap();
    assert!(handler.run(super::guests::input(), &Default::default()).await.result.is_ok());
    let mut bytes = handling(PASS).component();
    bytes.extend([0, 0x80, 0x80, 0x80, 0x02, 1, b'n']);
    bytes.resize(bytes.len() + (4 << 20) - 2, 7);
    assert!(engine.load(&bytes).is_ok());
    drop(bytes);
    let after = super::guests::resident_bytes();
    assert!(after < before + (160 << 20), "{before} -> {after}");
    unharmed(&engine).await;
}
