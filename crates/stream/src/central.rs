//! Recognizes when one of the centre's streams was lost.
//!
//! Other parts of the relay find a stream by its name. A log that was deleted and created again would look
//! like an empty log whose events are routed already. So the relay records an identity of each stream in the
//! control bucket and in the stream's metadata. If a stream is missing, is a new one, or is shorter than what
//! was read from it, its shard stops until the stream is restored or its loss is accepted.

mod deployment;

pub use self::deployment::{
    Accepted, Deployment, DeploymentError, StreamRecord, accept_restored, change, find, load, mark, open,
    shards, streams,
};

use async_nats::jetstream::stream::Info;
use floodgate_event::central::Lost;

/// Compares a stream with its record and with `known`, the last sequence that was read from it. Returns the
/// loss, if there is one.
pub fn find_loss(record: &StreamRecord, found: Option<&Info>, known: u64) -> Option<Lost> {
    // Without a record, or after an accepted loss, any stream is right.
    let made = record.made.as_deref()?;
    let Some(found) = found else { return Some(Lost::Missing) };
    if deployment::made(found) != made {
        return Some(Lost::Anew);
    }
    let last = found.state.last_sequence;
    (last < known).then_some(Lost::WentBack { last, known })
}

#[cfg(test)]
mod tests {
    use super::*;
    use floodgate_testkit::stream_info::stream_info as info;

    #[test]
    fn what_is_gone_other_or_shorter_is_lost() {
        let record = StreamRecord { made: Some("f4240".to_owned()), accepted: None };
        let found = info("EVENTS_0", 7);
        assert_eq!(find_loss(&record, Some(&found), 7), None);
        assert_eq!(find_loss(&record, None, 0), Some(Lost::Missing));
        assert_eq!(find_loss(&record, Some(&found), 8), Some(Lost::WentBack { last: 7, known: 8 }));
        let other = StreamRecord { made: Some("f4241".to_owned()), accepted: None };
        assert_eq!(find_loss(&other, Some(&found), 0), Some(Lost::Anew));
        assert_eq!(find_loss(&StreamRecord::default(), None, 9), None, "nothing is known of it");
    }

    #[test]
    fn a_mark_outlives_the_time_of_making() {
        let mut found = info("EVENTS_0", 7);
        found.config.metadata.insert(deployment::MADE.to_owned(), "aa".to_owned());
        let record = StreamRecord { made: Some("aa".to_owned()), accepted: None };
        assert_eq!(
            find_loss(&record, Some(&found), 7),
            None,
            "a restore in a cluster makes a stream of another time"
        );
    }
}
