//! The certificates by which a TLS client says who it is.

use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};

/// The certificates of a TLS client, its own first, each in DER. The client has proven that it has the
/// private key of its own. Nobody has checked yet who issued it: that depends on the source.
#[derive(Debug)]
pub struct ClientCertificates {
    chain: Vec<Vec<u8>>,
    /// The check that passed last, so that not every request of a connection pays for one.
    accepted: Mutex<Option<Accepted>>,
}

/// A check that certificates have passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The SHA-256 of what they were checked against.
    pub by: [u8; 32],
    /// When they are valid, in Unix seconds.
    pub valid: RangeInclusive<u64>,
    /// Which of the allowed names they have.
    pub name: usize,
}

impl ClientCertificates {
    /// The most bytes of all certificates of a client. A chain of three takes about 4 KiB.
    pub const MAX_BYTES: usize = 12 * 1_024;
    /// The most certificates of a client. A path is looked for among all of them, which takes time that grows
    /// much faster than their number.
    pub const MAX_CHAIN: usize = 5;

    /// Keeps a chain, in the order in which the client sent it.
    pub fn new(chain: Vec<Vec<u8>>) -> Self {
        Self { chain, accepted: Mutex::new(None) }
    }

    /// Returns the certificates, the client's own first.
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// Returns the name that an earlier check found, if that check was the same, and still holds at this
    /// time.
    pub fn accepted(&self, by: &[u8; 32], now: u64) -> Option<usize> {
        let accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        accepted.as_ref().filter(|held| held.by == *by && held.valid.contains(&now)).map(|held| held.name)
    }

    /// Keeps a check that passed, in place of an earlier one.
    pub fn accept(&self, check: Accepted) {
        *self.accepted.lock().unwrap_or_else(PoisonError::into_inner) = Some(check);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_counts_for_what_it_checked_and_for_its_time() {
        let client = ClientCertificates::new(vec![vec![1]]);
        assert_eq!(client.accepted(&[1; 32], 15), None);
        client.accept(Accepted { by: [1; 32], valid: 10..=20, name: 3 });
        assert_eq!([9, 10, 20, 21].map(|now| client.accepted(&[1; 32], now)), [None, Some(3), Some(3), None]);
        assert_eq!(client.accepted(&[2; 32], 15), None);
    }
}
