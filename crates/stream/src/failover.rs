//! Chooses the server to try next, and the pause before it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_nats::{ReconnectToServer, Server, ServerAddr};
use floodgate_event::Backoff;

/// The pause before a server that has not failed is tried. It is short, because others may be waiting, and it
/// prevents a busy loop if a server accepts a connection and closes it at once.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The pauses before a server that failed is tried again.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));

/// Remembers the server that was tried last. If that attempt did not fail, the connection was lost later.
#[derive(Debug, Default)]
pub(crate) struct Failover(Mutex<Option<ServerAddr>>);

impl Failover {
    /// The server with the fewest failures, or the first of several such servers. None if the pool is empty.
    pub(crate) fn next(&self, pool: &[Server]) -> Option<ReconnectToServer> {
        // Nothing panics while it holds the lock.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = |server: &Server| {
            let was_lost = server.failed_attempts == 0 && last.as_ref() == Some(&server.addr);
            server.failed_attempts + usize::from(was_lost)
        };
        let next = pool.iter().min_by_key(|server| failures(server))?;
        let delay = Some(pause(next.failed_attempts));
        *last = Some(next.addr.clone());
        Some(ReconnectToServer { addr: next.addr.clone(), delay })
    }
}

fn pause(failures: usize) -> Duration {
    match failures {
        0 => FIRST_PAUSE,
        failures => BACKOFF.after(u32::try_from(failures).unwrap_or(u32::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(failures: &[usize]) -> Vec<Server> {
        let server = |(number, &failed_attempts)| Server {
            addr: format!("nats://host-{number}:4222").parse().unwrap(),
            failed_attempts,
            did_connect: failed_attempts == 0,
            is_discovered: false,
            last_error: None,
        };
        failures.iter().enumerate().map(server).collect()
    }

    fn tried(failover: &Failover, failures: &[usize]) -> String {
        failover.next(&pool(failures)).unwrap().addr.host().to_owned()
    }

    #[test]
    fn the_first_is_preferred_until_it_fails_or_is_lost() {
        let failover = Failover::default();
        assert_eq!(tried(&failover, &[0, 0, 0]), "host-0");
        assert_eq!(tried(&failover, &[0, 0, 0]), "host-1", "the connection to the first was lost");
        assert_eq!(tried(&failover, &[0, 1, 0]), "host-0");
        assert_eq!(tried(&failover, &[1, 1, 0]), "host-2");
        assert_eq!(tried(&failover, &[1, 1, 1]), "host-0");
        assert!(failover.next(&[]).is_none());
    }

    #[test]
    fn a_single_server_is_tried_again_and_again_with_bounded_pauses() {
        let failover = Failover::default();
        let pauses =
            [0, 0, 1, 2, 5, 6, 1_000].map(|failures| failover.next(&pool(&[failures])).unwrap().delay);
        let expected = [20, 20, 100, 200, 1_600, 2_000, 2_000];
        assert_eq!(pauses, expected.map(|millis| Some(Duration::from_millis(millis))));
    }
}
