//! Guests that look for a way out.

use floodgate_sandbox::{FaultKind, Outcome};

use super::guests::{Guest, PASS, Try};

const IMPORTS: &str = r#"
    (import "wasi:cli/exit@0.2.0" "exit" (func $exit (param i32)))
    (import "wasi:cli/environment@0.2.0" "get-environment" (func $environment (param i32)))
    (import "wasi:cli/environment@0.2.0" "get-arguments" (func $arguments (param i32)))
    (import "wasi:cli/stdout@0.2.0" "get-stdout" (func $stdout (result i32)))
    (import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $now (result i64)))
    (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $after (param i64) (result i32)))
    (import "wasi:clocks/wall-clock@0.2.0" "now" (func $date (param i32)))
    (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))
    (import "wasi:io/poll@0.2.0" "poll" (func $poll (param i32 i32 i32)))
    (import "wasi:filesystem/preopens@0.2.0" "get-directories" (func $directories (param i32)))
    (import "wasi:random/random@0.2.0" "get-random-bytes" (func $random (param i64 i32)))
    (import "wasi:sockets/tcp-create-socket@0.2.0" "create-tcp-socket" (func $socket (param i32 i32)))"#;

fn using(handle: &str) -> Guest<'_> {
    Guest { imports: IMPORTS, handle, ..Guest::default() }
}

async fn kind(handle: &str) -> FaultKind {
    using(handle).kind().await
}

#[tokio::test]
async fn exit_ends_the_run_and_not_the_process() {
    for status in [0, 1] {
        assert_eq!(kind(&format!("(call $exit (i32.const {status})) {PASS}")).await, FaultKind::Trap);
    }
}

#[tokio::test]
async fn there_is_no_environment_no_argument_and_no_folder() {
    for list in ["$environment", "$arguments", "$directories"] {
        let handle = format!(
            "(call {list} (i32.const 2048)) (if (i32.load (i32.const 2052)) (then (unreachable))) {PASS}"
        );
        assert_eq!(using(&handle).run().await.result, Ok(Outcome::Pass), "{list}");
    }
}

#[tokio::test]
async fn a_socket_is_refused() {
    for family in [0, 1] {
        let handle = format!(
            "(call $socket (i32.const {family}) (i32.const 2048))
            (if (i32.ne (i32.load8_u (i32.const 2048)) (i32.const 1)) (then (unreachable))) {PASS}"
        );
        assert_eq!(using(&handle).run().await.result, Ok(Outcome::Pass));
    }
}

#[tokio::test]
async fn clocks_stand_at_the_time_of_receipt() {
    let handle = format!(
        "(call $date (i32.const 2048))
        (if (i64.ne (i64.load (i32.const 2048)) (i64.const 0)) (then (unreachable)))
        (if (i32.ne (i32.load (i32.const 2056)) (i32.const 1000)) (then (unreachable)))
        (if (i64.ne (call $now) (call $now)) (then (unreachable))) {PASS}"
    );
    assert_eq!(using(&handle).run().await.result, Ok(Outcome::Pass));
}

#[tokio::test]
async fn waiting_ends_at_the_deadline() {
    for nanoseconds in [1_i64, 3_600_000_000_000, -1] {
        let wait = format!("(call $block (call $after (i64.const {nanoseconds})))");
        let once = format!("{wait} (loop $again (br $again)) (unreachable)");
        assert_eq!(kind(&once).await, FaultKind::Deadline, "{nanoseconds}");
    }
    let poll = "(i32.store (i32.const 2048) (call $after (i64.const -1)))
        (call $poll (i32.const 2048) (i32.const 1) (i32.const 3000)) (unreachable)";
    assert_eq!(kind(poll).await, FaultKind::Deadline);
}

#[tokio::test]
async fn naps_without_end_end_at_the_deadline() {
    // Each pollable is dropped by nobody, so a few are made and then waited for over and over.
    let handle = "(local $nap i32) (local.set $nap (call $after (i64.const 1)))
        (loop $again (call $block (local.get $nap)) (br $again)) (unreachable)";
    assert_eq!(kind(handle).await, FaultKind::Deadline);
}

#[tokio::test]
async fn resources_that_are_never_given_back_run_out() {
    for make in ["(call $stdout)", "(call $after (i64.const 1000))"] {
        let handle = format!("(loop $again (drop {make}) (br $again)) (unreachable)");
        assert_eq!(kind(&handle).await, FaultKind::Trap, "{make}");
    }
}

#[tokio::test]
async fn what_cannot_be_asked_of_the_host_is_a_trap() {
    let calls = [
        "(call $random (i64.const 4294967296) (i32.const 2048))",
        "(call $random (i64.const -1) (i32.const 2048))",
        "(call $poll (i32.const 2048) (i32.const 0) (i32.const 3000))",
        "(call $poll (i32.const 2048) (i32.const 1073741824) (i32.const 3000))",
        "(call $poll (i32.const 2048) (i32.const 1) (i32.const 3000))",
        "(call $block (i32.const 12345))",
        "(call $environment (i32.const -4))",
    ];
    for call in calls {
        assert_eq!(kind(&format!("{call} {PASS}")).await, FaultKind::Trap, "{call}");
    }
}
