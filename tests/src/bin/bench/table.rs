//! The table that goes into the README.

use crate::load::{EVENT_BYTES, Round};
use crate::times::milliseconds;

/// One number of connections.
pub(crate) struct Row {
    pub(crate) connections: usize,
    pub(crate) bare: Round,
    pub(crate) gateway: Round,
}

pub(crate) fn head() {
    println!(
        "Signed events of {EVENT_BYTES} bytes over plain HTTP/1.1, kept-alive connections, medians of alternating"
    );
    println!(
        "rounds; `sync_interval: always`; load generator, servers and nats-server on the same processors.\n"
    );
    println!(
        "| connections | bare hyper + HMAC | p50 | p99 | CPU | gateway, from disk | p50 | p99 | CPU | ratio |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
}

pub(crate) fn print(row: &Row) {
    println!(
        "| {} | {} | {} | {:.2} |",
        row.connections,
        columns(&row.bare),
        columns(&row.gateway),
        row.gateway.per_second / row.bare.per_second,
    );
}

fn columns(round: &Round) -> String {
    let Round { per_second, p50, p99, cpu } = round;
    let cpu = cpu.as_secs_f64() * 1_000_000.0;
    format!("{per_second:.0}/s | {} | {} | {cpu:.0} µs", milliseconds(*p50), milliseconds(*p99))
}
