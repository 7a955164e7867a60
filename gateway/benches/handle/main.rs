//! What one event costs a gateway in a handler, a fresh instance each, on one core:
//! everything between a checked signature and the finished envelope. Beside each figure, in the same run, the
//! same component under bare wasmtime with the same engine settings: instantiate, call, and nothing else.
//!
//! `cargo bench --bench handle` builds the guests it needs from `handlers/`.

#![allow(missing_docs, clippy::expect_used)]

mod bare;
mod event;
mod guest;
mod ours;

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use tokio::runtime::{Builder, Runtime};

use self::bare::Bare;
use self::ours::Ours;

/// As the `floodgate` command has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Events that are made ready at a time, few enough to lie in the processor's cache, as an event
/// does that was just verified.
const BATCH: u64 = 16;

/// One thread, as one core of a gateway.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Times `run` over `count` inputs, each made beforehand; what it returns goes on in a gateway, so that
/// its end does not count either.
fn timed<T, R>(count: u64, mut make: impl FnMut() -> T, mut run: impl FnMut(Vec<T>) -> R) -> Duration {
    let mut took = Duration::ZERO;
    let mut left = count;
    while left > 0 {
        let batch: Vec<T> = (0..left.min(BATCH)).map(|_| make()).collect();
        left -= batch.len() as u64;
        let start = Instant::now();
        let output = std::hint::black_box(run(batch));
        took += start.elapsed();
        drop(output);
    }
    took
}

fn handle(criterion: &mut Criterion) {
    let runtime = runtime();
    for (name, folder) in [("pass-through", "pass"), ("1 KiB JSON edit", "stamp")] {
        let component = guest::build(folder);
        let mut group = criterion.benchmark_group(name);
        group.measurement_time(Duration::from_secs(8)).noise_threshold(0.03);
        let ours = Ours::load(&component);
        let run = |batch| runtime.block_on(ours.run_all(batch));
        group.bench_function("gateway", |bencher| {
            bencher.iter_custom(|count| timed(count, event::verified, run));
        });
        drop(ours);
        let bare = Bare::load(&component);
        let body = event::body();
        group.bench_function("bare wasmtime", |bencher| {
            bencher.iter_custom(|count| timed(count, || (), |batch| bare.run_all(batch.len(), &body)));
        });
        group.finish();
    }
}

criterion_group!(benches, handle);
criterion_main!(benches);
