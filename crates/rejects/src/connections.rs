//! Connections that ended before they had a request, by peer and reason.

use std::collections::HashMap;
use std::fmt::Display;
use std::mem;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};

use floodgate_event::proto::Reject;
use floodgate_event::reject::CONNECTION;
use floodgate_listen::network;

use crate::shown::reason;

/// The most peers and reasons that are told apart within a minute. Of each further reason there is one entry
/// for all peers.
const MAX_ENTRIES: usize = 256;
/// The address in whose place all other peers are counted.
const OTHERS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// What ended since the last row.
#[derive(Default)]
pub(crate) struct Connections(Mutex<HashMap<(IpAddr, &'static str), Tally>>);

struct Tally {
    count: u64,
    first_us: u64,
    last_us: u64,
    /// What was said of the first.
    why: String,
}

impl Connections {
    /// Counts a connection. Labels are few.
    pub(crate) fn note(&self, peer: IpAddr, label: &'static str, why: &dyn Display, now_us: u64) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = (network(peer), label);
        let is_told_apart = entries.len() < MAX_ENTRIES || entries.contains_key(&own);
        let tally = entries.entry(if is_told_apart { own } else { (OTHERS, label) });
        let tally =
            tally.or_insert_with(|| Tally { count: 0, first_us: now_us, last_us: now_us, why: reason(why) });
        tally.count += 1;
        tally.last_us = now_us;
    }

    /// Takes what was counted, as rows without an id.
    pub(crate) fn take(&self) -> Vec<Reject> {
        let entries = mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let row = |((peer, label), tally): ((IpAddr, &'static str), Tally)| Reject {
            at_us: tally.last_us,
            first_at_us: tally.first_us,
            count: tally.count,
            code: CONNECTION.to_owned(),
            step: label.to_owned(),
            reason: tally.why,
            peer: peer.to_string(),
            ..Reject::default()
        };
        entries.into_iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_one_row_for_each_reason() {
        let connections = Connections::default();
        let peer = IpAddr::from([192, 0, 2, 1]);
        for at in 1..=5 {
            connections.note(peer, "tls", &"no common cipher", at);
        }
        connections.note(peer, "handshake", &"too slow", 6);
        let mut rows = connections.take();
        rows.sort_by_key(|row| row.first_at_us);
        let seen: Vec<_> =
            rows.iter().map(|row| (row.count, row.first_at_us, row.at_us, &*row.reason)).collect();
        assert_eq!(seen, [(5, 1, 5, "no common cipher"), (1, 6, 6, "too slow")]);
        assert!(connections.take().is_empty());
    }

    #[test]
    fn the_number_of_peers_is_bounded_and_all_are_counted() {
        let connections = Connections::default();
        for peer in 0..2_000_u32 {
            connections.note(IpAddr::from((peer + (1 << 24)).to_be_bytes()), "tls", &"", 1);
        }
        let rows = connections.take();
        assert_eq!((rows.len(), rows.iter().map(|row| row.count).sum::<u64>()), (MAX_ENTRIES + 1, 2_000));
        assert!(rows.iter().any(|row| row.peer == OTHERS.to_string() && row.count > 1_000));
    }
}
