//! Which server to try next, and after what pause.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_nats::{ReconnectToServer, Server, ServerAddr};

/// The pause before a server is tried that has not failed: short, as others may be waiting, and still no busy
/// loop if a server lets us in and puts us out again.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The pause before a server is tried again that failed once; doubled with each failure.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// The server that was tried last: if that attempt did not fail, the connection to it was lost since.
#[derive(Debug, Default)]
pub(crate) struct Choice(Mutex<Option<ServerAddr>>);

impl Choice {
    /// The one that failed least; of equal ones the first. None if there are none.
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
    match u32::try_from(failures) {
        Ok(0) => FIRST_PAUSE,
        Ok(failures @ 1..=5) => PAUSE.saturating_mul(1 << (failures - 1)).min(MAX_PAUSE),
        Ok(_) | Err(_) => MAX_PAUSE,
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

    fn tried(choice: &Choice, failures: &[usize]) -> String {
        choice.next(&pool(failures)).unwrap().addr.host().to_owned()
    }

    #[test]
    fn the_first_is_preferred_until_it_fails_or_is_lost() {
        let choice = Choice::default();
        assert_eq!(tried(&choice, &[0, 0, 0]), "host-0");
        assert_eq!(tried(&choice, &[0, 0, 0]), "host-1", "the connection to the first was lost");
        assert_eq!(tried(&choice, &[0, 1, 0]), "host-0");
        assert_eq!(tried(&choice, &[1, 1, 0]), "host-2");
        assert_eq!(tried(&choice, &[1, 1, 1]), "host-0");
        assert!(choice.next(&[]).is_none());
    }

    #[test]
    fn a_single_server_is_tried_again_and_again_with_bounded_pauses() {
        let choice = Choice::default();
        let pauses = [0, 0, 1, 2, 5, 6, 1_000].map(|failures| choice.next(&pool(&[failures])).unwrap().delay);
        let expected = [20, 20, 100, 200, 1_600, 2_000, 2_000];
        assert_eq!(pauses, expected.map(|millis| Some(Duration::from_millis(millis))));
    }
}
