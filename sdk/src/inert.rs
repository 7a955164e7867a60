//! What the standard library asks of WASI in every program, answered within the guest.
//!
//! For `wasm32-wasip2` the C library under `std` imports the environment, standard streams, terminals and
//! `exit`, used or not. A gateway gives nothing behind them, but each import costs every fresh instance;
//! together about a third of what a small handler costs. Here they are ordinary functions of the same names,
//! to which the linker binds the library's calls, with the answers that the gateway would give: no variables,
//! no input, output that goes nowhere, and a trap for `exit`; waiting is over at once, as clocks stand still.
//! What programs rarely call (`poll` and `splice` on these streams) is imported, and knows no such stream.
//! Clocks and random numbers are not here: those the gateway gives. Should a later `std` use other names, it
//! imports them again, and the handler is slower, not wrong.
//!
//! Signatures are those of the [canonical ABI] for WASI 0.2; a result is written
//! where its last argument points.
//!
//! `unsafe` here are the functions' exported names alone, which must not collide with another's; no function
//! has an `unsafe` block.
//!
//! [canonical ABI]: https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md

#![allow(unsafe_code)]

/// Standard input, output and error; nothing looks at the number.
const STREAM: i32 = 0;

/// How much a write may bring; the rest comes with the next write.
const WRITABLE: u64 = 64 << 10;

/// `result<u64, stream-error>`, of which only the good case is needed.
#[repr(C)]
struct Writable {
    error: u8,
    bytes: u64,
}

/// `result<list<u8>, stream-error>`, of which only the error `closed` is needed.
#[repr(C)]
struct Ended {
    error: u8,
    closed: u32,
}

/// `list<T>`, always empty.
#[repr(C)]
struct Empty {
    items: *const u8,
    length: usize,
}

#[unsafe(no_mangle)]
extern "C" fn __wasm_import_environment_get_environment(answer: &mut Empty) {
    *answer = Empty { items: std::ptr::dangling(), length: 0 };
}

#[unsafe(no_mangle)]
extern "C" fn __wasm_import_exit_exit(_status: i32) {
    core::arch::wasm32::unreachable()
}

#[unsafe(no_mangle)]
extern "C" fn __wasm_import_stdin_get_stdin() -> i32 {
    STREAM
}

#[unsafe(no_mangle)]
extern "C" fn __wasm_import_stdout_get_stdout() -> i32 {
    STREAM
}

#[unsafe(no_mangle)]
extern "C" fn __wasm_import_stderr_get_stderr() -> i32 {
    STREAM
}

#[unsafe(no_mangle)]
extern "C" fn __wasm_import_terminal_stdin_get_terminal_stdin(some: &mut u8) {
    *some = 0;
}

#[unsafe(no_mangle)]
extern "C" fn __wasm_import_terminal_stdout_get_terminal_stdout(some: &mut u8) {
    *some = 0;
}

#[unsafe(no_mangle)]
extern "C" fn __wasm_import_terminal_stderr_get_terminal_stderr(some: &mut u8) {
    *some = 0;
}

#[unsafe(no_mangle)]
extern "C" fn __wasm_import_terminal_input_terminal_input_drop(_terminal: i32) {}

#[unsafe(no_mangle)]
extern "C" fn __wasm_import_terminal_output_terminal_output_drop(_terminal: i32) {}

#[unsafe(no_mangle)]
extern "C" fn __wasm_import_streams_input_stream_drop(_stream: i32) {}

#[unsafe(no_mangle)]
extern "C" fn __wasm_import_streams_output_stream_drop(_stream: i32) {}

#[unsafe(no_mangle)]
extern "C" fn __wasm_import_poll_pollable_drop(_stream: i32) {}

#[unsafe(no_mangle)]
extern "C" fn __wasm_import_io_error_error_drop(_stream: i32) {}

#[unsafe(no_mangle)]
extern "C" fn __wasm_import_streams_method_output_stream_check_write(_stream: i32, answer: &mut Writable) {
    *answer = Writable { error: 0, bytes: WRITABLE };
}

#[unsafe(no_mangle)]
extern "C" fn __wasm_import_streams_method_output_stream_write(
    _stream: i32,
    _bytes: *const u8,
    _length: usize,
    error: &mut u8,
) {
    *error = 0;
}

#[unsafe(no_mangle)]
extern "C" fn __wasm_import_streams_method_output_stream_blocking_flush(_stream: i32, error: &mut u8) {
    *error = 0;
}

#[unsafe(no_mangle)]
extern "C" fn __wasm_import_streams_method_output_stream_subscribe(_stream: i32) -> i32 {
    0
}

#[unsafe(no_mangle)]
extern "C" fn __wasm_import_poll_method_pollable_block(_pollable: i32) {}

#[unsafe(no_mangle)]
extern "C" fn __wasm_import_monotonic_clock_subscribe_duration(_nanoseconds: u64) -> i32 {
    0
}

#[unsafe(no_mangle)]
extern "C" fn __wasm_import_monotonic_clock_subscribe_instant(_nanoseconds: u64) -> i32 {
    0
}

#[unsafe(no_mangle)]
extern "C" fn __wasm_import_streams_method_input_stream_subscribe(_stream: i32) -> i32 {
    0
}

#[unsafe(no_mangle)]
extern "C" fn __wasm_import_streams_method_input_stream_read(_stream: i32, _most: u64, answer: &mut Ended) {
    *answer = Ended { error: 1, closed: 1 };
}

#[unsafe(no_mangle)]
extern "C" fn __wasm_import_streams_method_input_stream_blocking_read(
    _stream: i32,
    _most: u64,
    answer: &mut Ended,
) {
    *answer = Ended { error: 1, closed: 1 };
}
