//! Guests that stop, and what is said of it.

use floodgate_sandbox::{FaultKind, Outcome};

use super::guests::{Guest, Try, handling};

#[tokio::test]
async fn a_trap_carries_the_last_error_line() {
    // `log(error, memory[16..24])`, as the SDK's panic hook does.
    let handle = "(call $log (i32.const 4) (i32.const 16) (i32.const 8)) (unreachable)";
    let fault = handling(handle).fault().await;
    assert_eq!(fault.kind(), FaultKind::Trap);
    assert!(fault.message().starts_with("a header ("), "{fault}");
}

#[tokio::test]
async fn a_trap_names_the_functions_that_it_went_through() {
    let fields = r#"(func $_ZN5guest5inner17h0123456789abcdefE (unreachable))
        (func $"outer\u{1b}[2J" (call $_ZN5guest5inner17h0123456789abcdefE))"#;
    let handle = r#"(call $"outer\u{1b}[2J") (i32.const 1024)"#;
    let fault = Guest { fields, handle, ..Guest::default() }.fault().await;
    assert_eq!(fault.trace()[..2], ["guest::inner", "outer\\u{1b}[2J"]);
    let deep = handling("(call $recurse)").fault().await;
    assert!(deep.trace().len() <= 8 && deep.trace()[0] == "recurse", "{:?}", deep.trace());
}

#[tokio::test]
async fn a_trap_in_start_is_the_guest_s_own() {
    let fields = "(func $stop (unreachable)) (start $stop)";
    assert_eq!(Guest { fields, ..Guest::default() }.kind().await, FaultKind::Trap);
    let data = r#"(data (i32.const 65535) "too long")"#;
    assert_eq!(Guest { fields: data, ..Guest::default() }.kind().await, FaultKind::Trap);
}

#[tokio::test]
async fn a_flood_of_lines_is_cut_and_cannot_move_a_terminal_s_cursor() {
    // 10,000 lines of `\x1b[2J\r\n`, then one of 60,000 bytes.
    let fields = r#"(data (i32.const 4096) "\1b[2J\0d\0a\e2\80\ae")"#;
    let handle = "(local $left i32) (local.set $left (i32.const 10000))
        (loop $again (call $log (i32.const 2) (i32.const 4096) (i32.const 9))
            (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (call $log (i32.const 2) (i32.const 131072) (i32.const 60000)) (i32.const 1024)";
    let run = Guest { fields, memory: "4", handle, ..Guest::default() }.run().await;
    assert_eq!(run.result, Ok(Outcome::Pass));
    assert!(run.log.len() <= 33, "{} lines", run.log.len());
    assert!(run.log.iter().map(|line| line.message.len()).sum::<usize>() <= 9 * 1024);
    let text: String = run.log.iter().map(|line| line.message.as_str()).collect();
    assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
}

#[tokio::test]
async fn a_line_that_is_no_text_is_a_trap() {
    for (at, length) in [(65530, 99), (-1, 1), (16, -1)] {
        let handle =
            format!("(call $log (i32.const 2) (i32.const {at}) (i32.const {length})) (i32.const 1024)");
        assert_eq!(handling(&handle).kind().await, FaultKind::Trap, "{at}, {length}");
    }
    let level = handling("(call $log (i32.const 77) (i32.const 16) (i32.const 1)) (i32.const 1024)");
    assert_eq!(level.kind().await, FaultKind::Trap);
}
