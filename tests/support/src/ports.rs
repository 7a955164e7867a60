//! Free ports of the loopback address.

use std::net::TcpListener;

use crate::{Failure, Result};

/// Asks the kernel for `N` different ports that nobody listens on. Another process could take one before the
/// caller uses it, which fails the test.
///
/// # Errors
/// If the kernel has none.
pub fn free<const N: usize>() -> Result<[u16; N]> {
    // All are held until the last is there, so that none is given twice.
    let held = (0..N).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<Result<Vec<_>, _>>()?;
    let ports = held.iter().map(|listener| Ok(listener.local_addr()?.port())).collect::<Result<Vec<_>>>()?;
    ports.try_into().map_err(|_| Failure::new("too few ports"))
}
