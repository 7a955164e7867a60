//! What handlers ask of the host, granted and not.

use std::collections::HashMap;
use std::sync::Arc;

use floodgate_event::Secret;
use floodgate_sandbox::{Context, FaultKind, Granted, Handler, Outcome};

use super::guests::{Guest, Try, engine, input};

/// Signs `header` with the key `a`, verifies the signature, which must hold, and
/// does it again with a wrong one.
const SIGN: &str = "(call $sign (i32.const 16) (i32.const 1) (i32.const 18) (i32.const 6) (i32.const 512))
    (if (i32.ne (i32.load (i32.const 516)) (i32.const 32)) (then (unreachable)))
    (if (i32.eqz (call $verify (i32.const 16) (i32.const 1) (i32.const 18) (i32.const 6)
        (i32.load (i32.const 512)) (i32.const 32))) (then (unreachable)))
    (if (call $verify (i32.const 16) (i32.const 1) (i32.const 18) (i32.const 6)
        (i32.load (i32.const 512)) (i32.const 31)) (then (unreachable)))
    (i32.const 1024)";
/// Adds 3 to the counter `a`.
const COUNT: &str = "(call $add (i32.const 16) (i32.const 1) (i64.const 3)) (i32.const 1024)";

fn load(handle: &str) -> Handler {
    let imports = r#"
        (import "floodgate:handler/keys@0.1.0" "sign" (func $sign (param i32 i32 i32 i32 i32)))
        (import "floodgate:handler/keys@0.1.0" "verify"
            (func $verify (param i32 i32 i32 i32 i32 i32) (result i32)))
        (import "floodgate:handler/counters@0.1.0" "add" (func $add (param i32 i32 i64)))"#;
    Guest { imports, handle, ..Guest::default() }.load(&engine()).unwrap()
}

fn granted(grants: &str) -> Context {
    let keys = HashMap::from([("a".parse().unwrap(), Secret::new("secret"))]);
    let granted = Granted::uncounted(&serde_json::from_str(grants).unwrap(), &keys).unwrap();
    Context::new(Arc::default(), Arc::new(granted))
}

#[tokio::test]
async fn keys_and_counters_are_there_where_granted() {
    let all = granted(r#"{"sign": ["a"], "verify": ["a"], "counters": ["a"]}"#);
    assert_eq!(load(SIGN).run(input(), &all).await.result, Ok(Outcome::Pass));
    assert_eq!(load(COUNT).run(input(), &all).await.result, Ok(Outcome::Pass));
}

#[tokio::test]
async fn what_is_not_granted_is_a_fault_that_names_it() {
    for (handle, grants, named) in [
        (SIGN, r#"{"verify": ["a"]}"#, "the binding does not grant to sign with key `a`"),
        (SIGN, r#"{"sign": ["a"]}"#, "the binding does not grant to verify with key `a`"),
        (COUNT, "{}", "the binding does not grant to move counter `a`"),
    ] {
        let fault = load(handle).run(input(), &granted(grants)).await.result.unwrap_err();
        assert_eq!((fault.kind(), fault.message()), (FaultKind::Grant, named));
    }
}

#[tokio::test]
async fn a_handler_without_the_check_takes_all_parameters() {
    assert_eq!(load(COUNT).check_params("{\"a\": 1}").await, Ok(()));
}

#[tokio::test]
async fn lines_that_are_not_granted_go_nowhere_but_a_trap_s_reason_stays() {
    let log = "(call $log (i32.const 4) (i32.const 18) (i32.const 6)) (unreachable)";
    let run = load(log).run(input(), &granted(r#"{"log": false}"#)).await;
    assert!(run.log.is_empty());
    assert!(run.result.unwrap_err().message().starts_with("header ("));
}

#[tokio::test]
async fn the_request_comes_when_it_is_asked_for() {
    // Traps unless the method has 4 bytes and there is one header pair.
    let handle = "(call $get (i32.const 2048))
        (if (i32.ne (i32.load (i32.const 2052)) (i32.const 4)) (then (unreachable)))
        (if (i32.ne (i32.load (i32.const 2076)) (i32.const 1)) (then (unreachable)))
        (i32.const 1024)";
    let imports = r#"(import "floodgate:handler/request@0.1.0" "get" (func $get (param i32)))"#;
    let guest = Guest { imports, handle, ..Guest::default() };
    assert_eq!(guest.run().await.result, Ok(Outcome::Pass));
}

#[tokio::test]
async fn a_panic_s_reason_is_the_fault_s_message_and_a_line() {
    let say =
        "(call $say (i64.const 0x6461623a796c6c61) (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0)
        (i64.const 0) (i64.const 0) (i64.const 0)) (unreachable)";
    let imports = r#"(import "floodgate:handler/panic@0.1.0" "say" (func $say (param i64 i64 i64 i64 i64 i64 i64 i64)))"#;
    let run = Guest { imports, handle: say, ..Guest::default() }.run().await;
    assert_eq!(run.log.len(), 1);
    assert!(run.result.unwrap_err().message().starts_with("ally:bad ("));
}
