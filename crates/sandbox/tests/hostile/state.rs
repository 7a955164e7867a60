//! Guests that try to keep something.

use floodgate_sandbox::{FaultKind, Outcome};

use super::guests::{Guest, PASS, Try, engine, handling, input, load, unharmed};

/// Traps for all events but an instance's first.
const ONCE: &str = "(global.set $count (i32.add (global.get $count) (i32.const 1)))
    (if (i32.ne (global.get $count) (i32.const 1)) (then (unreachable))) (i32.const 1024)";
/// Traps if a byte of its memory or an entry of its table is not as at the start, then changes them all.
const SCRIBBLE: &str = "(local $at i32)
    (if (i32.ne (memory.size) (i32.const 1)) (then (unreachable)))
    (drop (memory.grow (i32.const 9)))
    (local.set $at (i32.const 65536))
    (loop $next
        (if (i32.load8_u (local.get $at)) (then (unreachable)))
        (i32.store8 (local.get $at) (i32.const 255))
        (local.set $at (i32.add (local.get $at) (i32.const 1024)))
        (br_if $next (i32.lt_u (local.get $at) (i32.const 655360))))
    (if (i32.eqz (ref.is_null (table.get $table (i32.const 7)))) (then (unreachable)))
    (table.set $table (i32.const 7) (ref.func $recurse))
    (i32.const 1024)";

#[tokio::test]
async fn a_guest_that_counts_always_counts_to_one() {
    let engine = engine();
    let (one, other) = (load(&engine, ONCE), load(&engine, ONCE));
    for _ in 0..50 {
        assert_eq!(one.run(input(), &Default::default()).await.result, Ok(Outcome::Pass));
        assert_eq!(other.run(input(), &Default::default()).await.result, Ok(Outcome::Pass));
    }
    unharmed(&engine).await;
}

#[tokio::test]
async fn memory_and_tables_begin_anew_for_each_event_and_handler() {
    let engine = engine();
    let fields = "(table $table 8 funcref) (elem declare func $recurse)";
    let guest = Guest { fields, handle: SCRIBBLE, ..Guest::default() };
    let (one, other) = (guest.load(&engine).unwrap(), guest.load(&engine).unwrap());
    for _ in 0..40 {
        assert_eq!(one.run(input(), &Default::default()).await.result, Ok(Outcome::Pass));
        assert_eq!(other.run(input(), &Default::default()).await.result, Ok(Outcome::Pass));
    }
}

#[tokio::test]
async fn a_guest_that_traps_on_each_event_leaves_every_slot_free() {
    let engine = engine();
    let (trap, pass) = (load(&engine, "(unreachable)"), load(&engine, PASS));
    for _ in 0..200 {
        assert_eq!(trap.run(input(), &Default::default()).await.result.unwrap_err().kind(), FaultKind::Trap);
        assert_eq!(pass.run(input(), &Default::default()).await.result, Ok(Outcome::Pass));
    }
    assert_eq!((engine.instances_in_use(), trap.instances_in_use()), (0, 0));
}

#[tokio::test]
async fn the_same_event_gives_the_same_bytes() {
    // `ok(change(body: 16 random bytes))`.
    let imports = r#"(import "wasi:random/random@0.2.0" "get-random-bytes" (func $random (param i64 i32)))"#;
    let handle = "(call $random (i64.const 16) (i32.const 2048)) (i32.store8 (i32.const 1028) (i32.const 2))
        (i32.store8 (i32.const 1032) (i32.const 1)) (i32.store (i32.const 1036) (i32.load (i32.const 2048)))
        (i32.store (i32.const 1040) (i32.load (i32.const 2052))) (i32.const 1024)";
    let guest = Guest { imports, handle, ..handling(PASS) };
    let first = guest.run().await.result.unwrap();
    assert!(matches!(&first, Outcome::Change(change) if change.body.as_ref().unwrap().len() == 16));
    assert_eq!(guest.run().await.result, Ok(first));
}
