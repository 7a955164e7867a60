//! The centre's streams as the deployment knows them:
//! how many shards there are, and which streams they write.
//!
//! The relay's other parts take a stream of the right name for the one they know. A log that was deleted and
//! made anew would look like an empty one whose events are routed already. So each stream's making is noted
//! in the control bucket and marked in the stream itself, and a stream that is gone, is another one, or is
//! shorter than what was read from it stops its shard, until it is restored or its loss is accepted.

mod note;

pub use self::note::{
    Accepted, Deployment, DeploymentError, Noted, accept_restored, change, find, load, mark, open, shards,
    streams,
};

use async_nats::jetstream::stream::Info;
use floodgate_event::central::Lost;

/// Compares a stream with what was noted of it and with the last sequence that was read from it.
pub fn judge(noted: &Noted, found: Option<&Info>, known: u64) -> Option<Lost> {
    // What was never noted, or whose loss was accepted, may be any.
    let noted = noted.made.as_deref()?;
    let Some(found) = found else { return Some(Lost::Missing) };
    if note::made(found) != noted {
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
        let noted = Noted { made: Some("f4240".to_owned()), accepted: None };
        let found = info("EVENTS_0", 7);
        assert_eq!(judge(&noted, Some(&found), 7), None);
        assert_eq!(judge(&noted, None, 0), Some(Lost::Missing));
        assert_eq!(judge(&noted, Some(&found), 8), Some(Lost::WentBack { last: 7, known: 8 }));
        let other = Noted { made: Some("f4241".to_owned()), accepted: None };
        assert_eq!(judge(&other, Some(&found), 0), Some(Lost::Anew));
        assert_eq!(judge(&Noted::default(), None, 9), None, "nothing is known of it");
    }

    #[test]
    fn a_mark_outlives_the_time_of_making() {
        let mut found = info("EVENTS_0", 7);
        found.config.metadata.insert(note::MADE.to_owned(), "aa".to_owned());
        let noted = Noted { made: Some("aa".to_owned()), accepted: None };
        assert_eq!(
            judge(&noted, Some(&found), 7),
            None,
            "a restore in a cluster makes a stream of another time"
        );
    }
}
