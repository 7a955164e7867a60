//! Handlers that misbehave, and what becomes of them and of their neighbours.

mod chain;
mod grants;
pub(crate) mod guests;

use std::sync::Arc;

use super::{FaultKind, LoadError, Outcome};
use guests::{PASS, SPIN, engine, input, load};

async fn fault(handle: &str) -> (FaultKind, String) {
    let run = load(&engine(), handle).run(input(), &Arc::default()).await;
    let fault = run.result.unwrap_err();
    (fault.kind(), fault.message().to_owned())
}

#[tokio::test]
async fn a_spinning_handler_ends_at_its_deadline() {
    assert_eq!(fault(SPIN).await.0, FaultKind::Deadline);
}

#[tokio::test]
async fn a_trap_carries_the_last_error_line() {
    // `log(error, memory[16..24])`, as the SDK's panic hook does.
    let handle = "(call $log (i32.const 4) (i32.const 16) (i32.const 8)) (unreachable)";
    let (kind, message) = fault(handle).await;
    assert_eq!(kind, FaultKind::Trap);
    assert!(message.starts_with("a header ("), "{message}");
}

#[tokio::test]
async fn endless_recursion_is_a_trap() {
    assert_eq!(fault("(call $recurse)").await.0, FaultKind::Trap);
}

#[tokio::test]
async fn memory_beyond_the_limit_is_refused_and_named() {
    let handle =
        "(if (i32.eq (memory.grow (i32.const 256)) (i32.const -1)) (then (unreachable))) (i32.const 1024)";
    assert_eq!(fault(handle).await.0, FaultKind::Memory);
    let within =
        "(if (i32.eq (memory.grow (i32.const 255)) (i32.const -1)) (then (unreachable))) (i32.const 1024)";
    assert_eq!(load(&engine(), within).run(input(), &Arc::default()).await.result, Ok(Outcome::Pass));
}

#[tokio::test]
async fn giant_output_is_refused() {
    // `ok(change(body: some(16 MiB of memory)))`, and the same list counted a thousandfold as children.
    let body = "(drop (memory.grow (i32.const 255)))
        (i32.store8 (i32.const 1028) (i32.const 2))
        (i32.store8 (i32.const 1032) (i32.const 1))
        (i32.store (i32.const 1040) (i32.const 16777216)) (i32.const 1024)";
    assert_eq!(fault(body).await.0, FaultKind::Output);
    let children = "(i32.store8 (i32.const 1028) (i32.const 3))
        (i32.store (i32.const 1036) (i32.const 700000)) (drop (memory.grow (i32.const 255))) (i32.const 1024)";
    assert_eq!(fault(children).await.0, FaultKind::Output);
}

#[tokio::test]
async fn a_header_that_would_split_a_message_is_refused() {
    // `ok(respond(200, [(memory[16..24] without its space, memory[16..30])], []))`.
    let handle = "(i32.store8 (i32.const 1028) (i32.const 4))
        (i32.store16 (i32.const 1032) (i32.const 200))
        (i32.store (i32.const 1036) (i32.const 2048)) (i32.store (i32.const 1040) (i32.const 1))
        (i32.store (i32.const 2048) (i32.const 18)) (i32.store (i32.const 2052) (i32.const 6))
        (i32.store (i32.const 2056) (i32.const 16)) (i32.store (i32.const 2060) (i32.const 14))
        (i32.const 1024)";
    assert_eq!(fault(handle).await, (FaultKind::Output, "header `header`: not a header value".into()));
}

#[tokio::test]
async fn text_that_is_none_is_an_output_fault() {
    // `ok(drop(memory[60000..]))` beyond the memory's end.
    let handle = "(i32.store8 (i32.const 1028) (i32.const 1))
        (i32.store (i32.const 1032) (i32.const 65530)) (i32.store (i32.const 1036) (i32.const 99)) (i32.const 1024)";
    assert_eq!(fault(handle).await.0, FaultKind::Output);
}

/// `err` for all events but an instance's first.
const ONCE: &str = "(global.set $count (i32.add (global.get $count) (i32.const 1)))
    (if (i32.ne (global.get $count) (i32.const 1)) (then (unreachable))) (i32.const 1024)";

#[tokio::test]
async fn nothing_outlives_an_event() {
    let handler = load(&engine(), ONCE);
    for _ in 0..50 {
        assert_eq!(handler.run(input(), &Arc::default()).await.result, Ok(Outcome::Pass));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spinning_neighbours_cost_nobody_an_event() {
    let engine = engine();
    let (spin, pass) = (load(&engine, SPIN), load(&engine, PASS));
    let spinners: Vec<_> = (0..12)
        .map(|_| {
            let spin = spin.clone();
            tokio::spawn(async move { spin.run(input(), &Arc::default()).await.result })
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(pass.run(input(), &Arc::default()).await.result, Ok(Outcome::Pass));
    }
    for spinner in spinners {
        assert_eq!(spinner.await.unwrap().unwrap_err().kind(), FaultKind::Deadline);
    }
}

#[test]
fn what_is_no_handler_is_refused_and_named() {
    let engine = engine();
    let refusal = |text: &str| match engine.load(&wat::parse_str(text).unwrap()) {
        Err(LoadError::Breach(breach)) => breach.to_string(),
        other => panic!("{other:?}"),
    };
    let import = refusal(r#"(component (import "acme:net/fetch@1.0.0" (instance)))"#);
    assert!(
        import.contains("`acme:net/fetch@1.0.0`") && import.contains("floodgate:handler/log"),
        "{import}"
    );
    let function =
        refusal(r#"(component (import "floodgate:handler/log@0.1.0" (instance (export "erase" (func)))))"#);
    assert!(function.contains("does not fit the world"), "{function}");
    assert!(refusal("(component)").contains("does not export `handle`"));
    let other_type = r#"(component (core module $m (func (export "h"))) (core instance $i (instantiate $m))
        (func (export "handle") (canon lift (core func $i "h"))))"#;
    assert!(refusal(other_type).contains("does not fit the world"));
}
