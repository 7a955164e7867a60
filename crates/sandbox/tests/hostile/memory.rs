//! Guests that want all the memory there is.

use floodgate_event::source::HandlerLimits;
use floodgate_sandbox::{FaultKind, LoadError, Outcome};

use super::guests::{Guest, PASS, Try, engine, handling, input, load, resident_bytes, unharmed};

const MIB: usize = 1 << 20;
/// What may stay with the process after many runs:
/// what slots keep, and what the allocator has not given back.
const SLACK: usize = 96 * MIB;

#[tokio::test]
async fn memory_beyond_the_limit_is_refused_and_named() {
    let grow = |pages: u32| {
        format!(
            "(if (i32.eq (memory.grow (i32.const {pages})) (i32.const -1)) (then (unreachable))) (i32.const 1024)"
        )
    };
    assert_eq!(handling(&grow(256)).kind().await, FaultKind::Memory);
    let run = handling(&grow(255)).run().await;
    assert_eq!((run.result, run.memory_bytes), (Ok(Outcome::Pass), 16 * MIB));
}

#[tokio::test]
async fn a_binding_s_own_memory_limit_holds() {
    let engine = engine();
    let grow = load(
        &engine,
        "(if (i32.eq (memory.grow (i32.const 300)) (i32.const -1)) (then (unreachable))) (i32.const 1024)",
    );
    assert_eq!(grow.run(input(), &Default::default()).await.result.unwrap_err().kind(), FaultKind::Memory);
    let asked = HandlerLimits { memory_bytes: Some(32 << 20), ..HandlerLimits::default() };
    assert_eq!(grow.bind(&asked).unwrap().run(input(), &Default::default()).await.result, Ok(Outcome::Pass));
    let over = HandlerLimits { memory_bytes: Some(1 << 40), ..HandlerLimits::default() };
    assert!(grow.bind(&over).is_err());
    unharmed(&engine).await;
}

#[tokio::test]
async fn memory_that_is_declared_beyond_the_limit_is_refused() {
    // Beyond what a binding gets, it cannot start; beyond what any gets, it does not load.
    assert_eq!(Guest { memory: "257", ..Guest::default() }.kind().await, FaultKind::Memory);
    let engine = engine();
    let declared = Guest { memory: "65536", ..Guest::default() }.load(&engine);
    assert!(matches!(declared, Err(LoadError::Compile(_))), "{declared:?}");
    unharmed(&engine).await;
}

#[tokio::test]
async fn many_memories_are_refused() {
    let engine = engine();
    for count in [2, 90] {
        let fields = "(memory 1)".repeat(count);
        let loaded = Guest { fields: &fields, ..Guest::default() }.load(&engine);
        assert!(matches!(loaded, Err(LoadError::Compile(_))), "{loaded:?}");
    }
    unharmed(&engine).await;
}

#[tokio::test]
async fn tables_beyond_the_limit_are_refused() {
    let engine = engine();
    let declared = Guest { fields: "(table 1000000 funcref)", ..Guest::default() }.load(&engine);
    assert!(matches!(declared, Err(LoadError::Compile(_))), "{declared:?}");
    let many = "(table 1000 funcref)".repeat(50);
    assert!(Guest { fields: &many, ..Guest::default() }.load(&engine).is_err());
    unharmed(&engine).await;
    let handle = "(if (i32.eq (table.grow $table (ref.null func) (i32.const 1000000)) (i32.const -1))
        (then (unreachable))) (i32.const 1024)";
    let grown = Guest { fields: "(table $table 1 funcref)", handle, ..Guest::default() };
    assert_eq!(grown.kind().await, FaultKind::Memory);
}

#[tokio::test]
async fn endless_recursion_is_a_trap() {
    assert_eq!(handling("(call $recurse)").kind().await, FaultKind::Trap);
    let realloc = "(call $recurse)";
    assert_eq!(Guest { realloc, ..Guest::default() }.kind().await, FaultKind::Trap);
    // Large frames: hundreds of locals that are all in use.
    let locals = "i64 ".repeat(400);
    let sets: String =
        (2..400).map(|n| format!("(local.set {n} (i64.extend_i32_u (local.get 0)))")).collect();
    let sum: String = (2..400).map(|n| format!("(local.get {n}) (i64.add)")).collect();
    let fields = format!(
        "(func $wide (param i32) (result i64) (local {locals}) {sets}
            (call $wide (i32.add (local.get 0) (i32.const 1))) {sum})"
    );
    let wide = Guest {
        fields: &fields,
        handle: "(drop (call $wide (i32.const 0))) (i32.const 1024)",
        ..Guest::default()
    };
    assert_eq!(wide.kind().await, FaultKind::Trap);
}

#[tokio::test]
async fn what_bombs_take_is_given_back() {
    let engine = engine();
    let bomb = load(
        &engine,
        "(drop (memory.grow (i32.const 255))) (memory.fill (i32.const 65536) (i32.const 7) (i32.const 16000000))
            (i32.const 1024)",
    );
    let pass = load(&engine, PASS);
    let before = resident_bytes();
    for _ in 0..100 {
        assert_eq!(bomb.run(input(), &Default::default()).await.result, Ok(Outcome::Pass));
        assert_eq!(pass.run(input(), &Default::default()).await.result, Ok(Outcome::Pass));
    }
    assert!(resident_bytes() < before + SLACK, "{} -> {}", before, resident_bytes());
}

#[tokio::test]
async fn a_thousand_loads_leave_no_memory_behind() {
    let engine = engine();
    let mut bytes = handling(PASS).component();
    let begin = bytes.len();
    let mut before = 0;
    for number in 0..1_000_u32 {
        // A custom section of 7 bytes, so that each is another component.
        bytes.truncate(begin);
        bytes.extend([0, 6, 1, b'n']);
        bytes.extend(number.to_le_bytes());
        let handler = engine.load(&bytes).unwrap();
        if number % 100 == 0 {
            assert_eq!(handler.run(input(), &Default::default()).await.result, Ok(Outcome::Pass));
        }
        if number == 100 {
            before = resident_bytes();
        }
    }
    assert!(resident_bytes() < before + SLACK, "{} -> {}", before, resident_bytes());
    unharmed(&engine).await;
}
