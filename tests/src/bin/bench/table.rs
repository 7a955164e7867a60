//! The table that goes into the README.

use std::time::Duration;

use crate::load::{EVENT_BYTES, Round};

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
    println!("| connections | bare hyper + HMAC | p50 | p99 | gateway, from disk | p50 | p99 | ratio |");
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|");
}

pub(crate) fn print(row: &Row) {
    println!(
        "| {} | {:.0}/s | {} | {} | {:.0}/s | {} | {} | {:.2} |",
        row.connections,
        row.bare.per_second,
        milliseconds(row.bare.p50),
        milliseconds(row.bare.p99),
        row.gateway.per_second,
        milliseconds(row.gateway.p50),
        milliseconds(row.gateway.p99),
        row.gateway.per_second / row.bare.per_second,
    );
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}
