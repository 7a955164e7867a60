//! What a replay of held requests counts.

use std::collections::BTreeMap;

use floodgate_api::reject::{HeldReplay, PeerCounts};

use crate::jobs::{Counts, Job, JobView};

/// The most senders, and the most reasons, that are counted by name.
const MAX_NAMED: usize = 100;
/// The most characters of a name.
const MAX_NAME: usize = 300;
/// What the others are counted under.
const OTHERS: &str = "others";

/// What became of a held request.
pub(super) enum Outcome {
    /// It verifies, with the secret of this id.
    Verified(String),
    /// It does not, and stays.
    Refused(String),
    /// No gateway that answered has the key that it is sealed to, and it stays. Others may have another key.
    WithoutKey(String),
    /// No gateway could say, and it stays.
    Untaken(String),
}

/// The counts of one replay.
#[derive(Default)]
pub(super) struct Judged {
    dry_run: bool,
    matched: u64,
    verified: u64,
    refused: u64,
    failed: u64,
    secrets: BTreeMap<String, u64>,
    peers: BTreeMap<String, PeerCounts>,
    reasons: BTreeMap<String, u64>,
}

impl Judged {
    /// Makes the counts of a replay that has not judged any of its `matched` requests.
    pub(super) fn of(matched: u64, dry_run: bool) -> Self {
        Self { matched, dry_run, ..Self::default() }
    }
}

impl Job<Judged> {
    /// Counts the result of a request.
    pub(super) fn note(&self, peer: &str, outcome: Outcome) {
        match outcome {
            Outcome::Verified(secret) => self.count(None, |counts| {
                counts.verified += 1;
                *named(&mut counts.secrets, secret) += 1;
                named(&mut counts.peers, address(peer)).verified += 1;
            }),
            Outcome::Refused(reason) => self.count(None, |counts| {
                counts.refused += 1;
                *named(&mut counts.reasons, reason) += 1;
                named(&mut counts.peers, address(peer)).refused += 1;
            }),
            Outcome::WithoutKey(reason) => self.count(None, |counts| {
                counts.failed += 1;
                *named(&mut counts.reasons, reason) += 1;
            }),
            Outcome::Untaken(reason) => self.count(Some(&reason), |counts| {
                counts.failed += 1;
                *named(&mut counts.reasons, reason.clone()) += 1;
            }),
        }
    }
}

impl Counts for Judged {
    type View = HeldReplay;

    fn view(&self, job: JobView) -> HeldReplay {
        HeldReplay {
            id: job.id,
            state: job.state,
            dry_run: self.dry_run,
            matched: self.matched,
            verified: self.verified,
            refused: self.refused,
            failed: self.failed,
            secrets: self.secrets.clone(),
            peers: self.peers.clone(),
            reasons: self.reasons.clone(),
            error: job.error,
            started_at: job.started_at,
        }
    }
}

/// The count of a name, or that of the others if there are too many names.
fn named<T: Default>(counts: &mut BTreeMap<String, T>, name: String) -> &mut T {
    // A gateway is not trusted to be brief.
    let name: String = name.chars().take(MAX_NAME).collect();
    let is_counted = counts.len() < MAX_NAMED || counts.contains_key(&name);
    counts.entry(if is_counted { name } else { OTHERS.to_owned() }).or_default()
}

/// The IP address of a sender, without its port, which differs for each connection.
fn address(peer: &str) -> String {
    peer.parse::<std::net::SocketAddr>().map_or_else(|_| peer.to_owned(), |peer| peer.ip().to_string())
}

#[cfg(test)]
mod tests {
    use floodgate_api::replay::State;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::jobs::MAX_UNTAKEN;

    fn job() -> Job<Judged> {
        Job::new(Judged::of(10, false), CancellationToken::new())
    }

    #[test]
    fn it_counts_by_secret_sender_and_reason() {
        let job = job();
        job.note("192.0.2.1:1", Outcome::Verified("sec_1".to_owned()));
        job.note("192.0.2.1:2", Outcome::Verified("sec_1".to_owned()));
        job.note("192.0.2.9:3", Outcome::Refused("no match".to_owned()));
        job.finish();
        let view = job.view();
        assert_eq!((view.state, view.verified, view.refused), (State::Done, 2, 1));
        assert_eq!((view.secrets["sec_1"], view.reasons["no match"]), (2, 1));
        let peers: Vec<_> = view.peers.iter().map(|(peer, of)| (&**peer, of.verified, of.refused)).collect();
        assert_eq!(peers, [("192.0.2.1", 2, 0), ("192.0.2.9", 0, 1)]);
    }

    #[test]
    fn names_are_bounded() {
        let job = job();
        for number in 0..1_000 {
            job.note(&format!("peer {number}"), Outcome::Refused(format!("reason {number}")));
        }
        let view = job.view();
        assert_eq!((view.peers.len(), view.reasons.len()), (MAX_NAMED + 1, MAX_NAMED + 1));
        assert_eq!(view.reasons[OTHERS], 900);
    }

    #[test]
    fn it_is_not_given_up_because_nobody_has_an_earlier_key() {
        let job = job();
        for _ in 0..2 * MAX_UNTAKEN {
            job.note("", Outcome::WithoutKey("no key".to_owned()));
        }
        job.note("192.0.2.1:1", Outcome::Verified("sec_1".to_owned()));
        job.finish();
        let view = job.view();
        assert_eq!((view.state, view.verified), (State::Done, 1));
        assert_eq!((view.failed, view.reasons["no key"]), (32, 32));
    }

    #[test]
    fn it_is_given_up_when_no_gateway_answers() {
        let job = job();
        for _ in 0..MAX_UNTAKEN {
            job.note("", Outcome::Untaken("away".to_owned()));
        }
        job.finish();
        assert_eq!((job.view().state, job.view().error.as_deref()), (State::Failed, Some("away")));
        assert!(job.cancel.is_cancelled());
    }
}
