//! Guests that return what cannot be used.

use floodgate_sandbox::{FaultKind, Outcome};

use super::guests::{Guest, Try, handling};

async fn fault(handle: &str) -> (FaultKind, String) {
    let fault = handling(handle).fault().await;
    (fault.kind(), fault.message().to_owned())
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
async fn a_million_headers_are_refused() {
    // `ok(change(headers: a list of this many))`: of change, headers stand at offset 28.
    let headers = |count: u32| {
        format!(
            "(drop (memory.grow (i32.const 255))) (i32.store8 (i32.const 1028) (i32.const 2))
            (i32.store (i32.const 1060) (i32.const 65536)) (i32.store (i32.const 1064) (i32.const {count}))
            (i32.const 1024)"
        )
    };
    assert_eq!(fault(&headers(1_000_000)).await.0, FaultKind::Output);
    let (kind, message) = fault(&headers(1_000)).await;
    assert_eq!((kind, &*message), (FaultKind::Output, "1000 headers, and at most 64 are taken"));
}

#[tokio::test]
async fn a_header_that_would_split_a_message_is_refused() {
    // `ok(respond(200, [(name, value)], []))`, both parts of `a header\r\nor two` at 16.
    let respond = |name: (u32, u32), value: (u32, u32)| {
        format!(
            "(i32.store8 (i32.const 1028) (i32.const 4))
            (i32.store16 (i32.const 1032) (i32.const 200))
            (i32.store (i32.const 1036) (i32.const 2048)) (i32.store (i32.const 1040) (i32.const 1))
            (i32.store (i32.const 2048) (i32.const {})) (i32.store (i32.const 2052) (i32.const {}))
            (i32.store (i32.const 2056) (i32.const {})) (i32.store (i32.const 2060) (i32.const {}))
            (i32.const 1024)",
            name.0, name.1, value.0, value.1
        )
    };
    let value = fault(&respond((18, 6), (16, 14))).await;
    assert_eq!(value, (FaultKind::Output, "header `header`: not a header value".into()));
    let (kind, message) = fault(&respond((18, 14), (18, 6))).await;
    assert_eq!((kind, message.contains("not a header name")), (FaultKind::Output, true), "{message}");
    assert!(!message.contains(['\r', '\n']), "{message:?}");
}

#[tokio::test]
async fn text_that_is_none_is_an_output_fault() {
    let drop_with = |at: i64, length: i64| {
        format!(
            "(i32.store8 (i32.const 3000) (i32.const 255)) (i32.store8 (i32.const 1028) (i32.const 1))
            (i32.store (i32.const 1032) (i32.const {at})) (i32.store (i32.const 1036) (i32.const {length}))
            (i32.const 1024)"
        )
    };
    // Not UTF-8, beyond the memory's end, longer than an address can say.
    for (at, length) in [(3000, 1), (65530, 99), (16, -1), (-1, 1), (-8, 16), (16, 0x7fff_ffff)] {
        assert_eq!(fault(&drop_with(at, length)).await.0, FaultKind::Output, "{at}, {length}");
    }
    let error_with_no_text =
        "(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store (i32.const 1028) (i32.const -4))
        (i32.store (i32.const 1032) (i32.const 100)) (i32.const 1024)";
    assert_eq!(fault(error_with_no_text).await.0, FaultKind::Output);
}

#[tokio::test]
async fn outcomes_that_do_not_exist_are_output_faults() {
    let cases = [
        ("the result's case", "(i32.store8 (i32.const 1024) (i32.const 9)) (i32.const 1024)"),
        ("the outcome's case", "(i32.store8 (i32.const 1028) (i32.const 9)) (i32.const 1024)"),
        ("beyond the end", "(i32.const 65532)"),
        ("far beyond the end", "(i32.const -4)"),
        ("not aligned", "(i32.const 1025)"),
    ];
    for (what, handle) in cases {
        assert_eq!(fault(handle).await.0, FaultKind::Output, "{what}");
    }
}

#[tokio::test]
async fn places_that_realloc_makes_up_are_faults() {
    for place in ["(i32.const -16)", "(i32.const 65530)", "(i32.const 8193)", "(i32.const 0x7fffffff)"] {
        let kind = Guest { realloc: place, ..Guest::default() }.kind().await;
        assert!(matches!(kind, FaultKind::Output | FaultKind::Trap), "{place}: {kind}");
    }
    // The same place for all: the guest's own data lie over each other, and nobody else's.
    let same = Guest { realloc: "(i32.const 16384)", ..Guest::default() };
    assert_eq!(same.run().await.result, Ok(Outcome::Pass));
}

#[tokio::test]
async fn what_is_said_of_an_error_is_bounded_and_printable() {
    // `err(8,000 bytes of memory)`, zeros for the most part.
    let handle = "(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store (i32.const 1028) (i32.const 16))
        (i32.store (i32.const 1032) (i32.const 8000)) (i32.const 1024)";
    let (kind, message) = fault(handle).await;
    assert_eq!(kind, FaultKind::Error);
    assert!(message.len() <= 1024 && !message.chars().any(char::is_control), "{message:?}");
}
