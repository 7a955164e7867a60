//! Guests that want all the time there is.

use floodgate_sandbox::{FaultKind, Outcome};

use super::guests::{Guest, PASS, SPIN, Try, engine, handling, input, load, unharmed};

/// Imports of a clock and of random numbers.
const HOST_CALLS: &str = r#"
    (import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $now (result i64)))
    (import "wasi:random/random@0.2.0" "get-random-bytes" (func $random (param i64 i32)))"#;

#[tokio::test]
async fn a_loop_in_handle_ends_at_its_deadline() {
    assert_eq!(handling(SPIN).kind().await, FaultKind::Deadline);
}

#[tokio::test]
async fn a_loop_in_start_ends_at_its_deadline() {
    let fields = "(func $forever (loop $again (br $again))) (start $forever)";
    assert_eq!(Guest { fields, ..Guest::default() }.kind().await, FaultKind::Deadline);
}

#[tokio::test]
async fn a_loop_in_realloc_ends_at_its_deadline() {
    assert_eq!(Guest { realloc: SPIN, ..Guest::default() }.kind().await, FaultKind::Deadline);
}

#[tokio::test]
async fn a_loop_in_post_return_ends_at_its_deadline() {
    let fields = "(func (export \"cabi_post_handle\") (param i32) (loop $again (br $again)))";
    let run = Guest { fields, ..Guest::default() }.run().await;
    // Whether the outcome counts that came before is open; that the run ends is not.
    assert!(matches!(run.result, Ok(Outcome::Pass)) || run.result.unwrap_err().kind() == FaultKind::Deadline);
}

#[tokio::test]
async fn calls_without_end_end_at_the_deadline() {
    let fields = "(func $tail (return_call $tail))";
    let tail = Guest { fields, handle: "(call $tail) (unreachable)", ..Guest::default() };
    assert_eq!(tail.kind().await, FaultKind::Deadline);
}

#[tokio::test]
async fn host_calls_without_end_end_at_the_deadline() {
    for call in [
        "(call $log (i32.const 2) (i32.const 16) (i32.const 8))",
        "(drop (call $now))",
        "(call $random (i64.const 65536) (i32.const 2048)) (global.set $free (i32.const 8192))",
    ] {
        let handle = format!("(loop $again {call} (br $again)) (unreachable)");
        let guest = Guest { imports: HOST_CALLS, memory: "4", handle: &handle, ..Guest::default() };
        assert_eq!(guest.kind().await, FaultKind::Deadline, "{call}");
    }
}

#[tokio::test]
async fn bulk_operations_without_end_end_at_the_deadline() {
    for operation in [
        "(memory.fill (i32.const 65536) (i32.const 1) (i32.const 15000000))",
        "(memory.copy (i32.const 65536) (i32.const 65537) (i32.const 15000000))",
        "(table.fill $table (i32.const 0) (ref.null func) (i32.const 20000))",
        "(drop (table.grow $table (ref.null func) (i32.const 1)))",
        "(drop (memory.grow (i32.const 1)))",
    ] {
        let handle = format!("(loop $again {operation} (br $again)) (unreachable)");
        let fields = "(table $table 20000 20001 funcref)";
        let memory = if operation.contains("memory.grow") { "1" } else { "240" };
        let guest = Guest { fields, memory, handle: &handle, ..Guest::default() };
        // One that asked for too much before is told that: it is why it got nowhere.
        let kind = guest.kind().await;
        assert!(matches!(kind, FaultKind::Deadline), "{operation}: {kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spinning_neighbours_cost_nobody_an_event() {
    let engine = engine();
    let (spin, pass) = (load(&engine, SPIN), load(&engine, PASS));
    let spinners: Vec<_> = (0..12)
        .map(|_| {
            let spin = spin.clone();
            tokio::spawn(async move { spin.run(input(), &Default::default()).await.result })
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(pass.run(input(), &Default::default()).await.result, Ok(Outcome::Pass));
    }
    for spinner in spinners {
        assert_eq!(spinner.await.unwrap().unwrap_err().kind(), FaultKind::Deadline);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_is_taken_away_while_it_spins_ends_too() {
    let engine = engine();
    let spin = load(&engine, SPIN);
    let running = tokio::spawn(async move { spin.run(input(), &Default::default()).await.result });
    // The engine keeps the code for as long as it runs; here nothing else holds it any more.
    tokio::task::yield_now().await;
    for _ in 0..5 {
        unharmed(&engine).await;
    }
    assert_eq!(running.await.unwrap().unwrap_err().kind(), FaultKind::Deadline);
    assert_eq!(engine.instances_in_use(), 0);
}

#[tokio::test]
async fn a_binding_s_own_deadline_holds() {
    use floodgate_event::source::HandlerLimits;

    let engine = engine();
    let asked = HandlerLimits { deadline_ms: Some(1), ..HandlerLimits::default() };
    let spin = load(&engine, SPIN).bind(&asked).unwrap();
    assert_eq!(spin.run(input(), &Default::default()).await.result.unwrap_err().kind(), FaultKind::Deadline);
    unharmed(&engine).await;
}

/// Works for some milliseconds, over several ticks.
const WORK: &str = "(local $i i32)
    (loop $again (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 4000000))))
    (i32.const 1024)";

/// Stops this process, which its threads do not notice.
fn stop_now_and_then() -> std::process::Child {
    let script = "for n in 1 2 3 4 5 6 7 8; do kill -STOP $0; sleep 0.1; kill -CONT $0; sleep 0.02; done";
    let process = std::process::id().to_string();
    std::process::Command::new("/bin/sh").args(["-c", script, &process]).spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_stopped_fails_nobody() {
    let engine = engine();
    let work = load(&engine, WORK);
    let mut stopping = stop_now_and_then();
    while stopping.try_wait().unwrap().is_none() {
        assert_eq!(work.run(input(), &Default::default()).await.result, Ok(Outcome::Pass));
    }
    // And it still ends who spins.
    assert_eq!(handling(SPIN).kind().await, FaultKind::Deadline);
}
