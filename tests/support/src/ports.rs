//! Free ports of the loopback address.
//!
//! Tests that run side by side take theirs from ranges that do not meet: nextest gives each running test a
//! slot. All ranges are below the ports that systems give to outgoing connections, one of which could
//! otherwise take the port of a server while it is being restarted.

use std::net::TcpListener;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{Failure, Result};

/// The lowest port that a test takes.
const LOWEST: u16 = 20_000;
/// How many tests may run at once without two of them having the same range.
const SLOTS: u16 = 16;
/// The ports of a slot's deployments.
const DEPLOYMENTS: u16 = 448;
/// The ports of a slot's single servers.
const SERVERS: u16 = 302;
/// How many ports a deployment may use from its base on.
const DEPLOYMENT: u16 = 64;

/// Returns `N` different ports that nobody listens on, and that this process was not given before: who asked
/// for those may not listen yet. Another process could take one before the caller uses it, which fails the
/// test.
///
/// # Errors
/// If none is found.
pub fn free<const N: usize>() -> Result<[u16; N]> {
    static NEXT: LazyLock<AtomicUsize> = LazyLock::new(anywhere);
    let first = first_of_slot() + DEPLOYMENTS;
    let ports = (0..SERVERS).map(|_| first + turn(&NEXT, SERVERS)).filter(|port| is_free(*port));
    let found: Vec<u16> = ports.take(N).collect();
    found.try_into().map_err(|_| Failure::new("too few ports"))
}

/// Returns the base of a deployment's ports (`floodgate dev --port-base`): nobody listens on any of them.
///
/// # Errors
/// If none is found.
pub fn deployment_base() -> Result<u16> {
    static NEXT: LazyLock<AtomicUsize> = LazyLock::new(anywhere);
    let bases = DEPLOYMENTS / DEPLOYMENT;
    let mut tries = (0..bases).map(|_| first_of_slot() + DEPLOYMENT * turn(&NEXT, bases));
    let found = tries.find(|base| (*base..*base + DEPLOYMENT).all(is_free));
    found.ok_or_else(|| Failure::new("no ports for a deployment"))
}

/// Where a process begins: at random, since the one before in its slot may not have ended yet.
fn anywhere() -> AtomicUsize {
    AtomicUsize::new(rand::random_range(0..usize::from(SERVERS)))
}

/// The next number below `end`; each comes up again only after all the others.
fn turn(next: &AtomicUsize, end: u16) -> u16 {
    (next.fetch_add(1, Ordering::Relaxed) % usize::from(end)) as u16
}

/// The first port of this test's slot. A test that runs alone has slot 0.
fn first_of_slot() -> u16 {
    let slot = std::env::var("NEXTEST_TEST_GLOBAL_SLOT").ok().and_then(|slot| slot.parse::<u16>().ok());
    LOWEST + slot.unwrap_or(0) % SLOTS * (DEPLOYMENTS + SERVERS)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}
