//! Tells a regional stream from an earlier one of the same name, after a disk was lost or a backup was
//! restored.

use async_nats::jetstream::stream::Info;

use crate::cursor::Cursor;

/// The key in a regional stream's metadata under which `floodgate restore` writes its own time. The restored
/// stream has the creation time of the one before it, and may already be as long again when a relay next
/// looks.
pub const RESTORED: &str = "floodgate_restored";

/// Returns the incarnation that begins now, if the stream is not the one that the cursor is about. It is made
/// of the stream's creation time, the time of its restore if there was one, and how often that same stream
/// went back.
pub fn next_incarnation(cursor: &Cursor, info: &Info) -> Option<String> {
    let restored = info.config.metadata.get(RESTORED).map(|at| format!("-{at}")).unwrap_or_default();
    let created = format!("{:x}{restored}", info.created.unix_timestamp_nanos() / 1_000);
    let (known, rewinds) = match cursor.incarnation.split_once('.') {
        Some((known, rewinds)) => (known, rewinds.parse().unwrap_or(0)),
        None => (cursor.incarnation.as_str(), 0_u32),
    };
    if known != created {
        return Some(created);
    }
    (info.state.last_sequence < cursor.sequence).then(|| format!("{created}.{}", rewinds.saturating_add(1)))
}

#[cfg(test)]
mod tests {

    use super::*;
    use floodgate_testkit::stream_info::stream_info;

    /// A stream that was created one second after 1970, as the server describes it.
    fn info(stream: &str, last: u64, restored: Option<&str>) -> Info {
        let metadata = restored.into_iter().map(|at| (RESTORED.to_owned(), at.to_owned())).collect();
        let mut info = stream_info(stream, last);
        info.config.metadata = metadata;
        info
    }

    fn cursor(incarnation: &str, sequence: u64) -> Cursor {
        Cursor { incarnation: incarnation.to_owned(), sequence }
    }

    #[test]
    fn a_restored_stream_is_another_however_long_it_is() {
        let next =
            |cursor: Cursor, last, restored| next_incarnation(&cursor, &info("IN_BULK", last, restored));
        assert_eq!(next(cursor("f4240", 7), 7, None), None);
        assert_eq!(next(cursor("f4240", 7), 6, None).as_deref(), Some("f4240.1"));
        assert_eq!(next(cursor("f4240.1", 7), 6, None).as_deref(), Some("f4240.2"));
        assert_eq!(next(cursor("f4241", 7), 9, None).as_deref(), Some("f4240"));
        assert_eq!(next(cursor("f4240.1", 7), 9, Some("a1")).as_deref(), Some("f4240-a1"));
        assert_eq!(next(cursor("f4240-a1", 7), 9, Some("a1")), None);
        assert_eq!(next(cursor("f4240-a1", 7), 3, Some("a1")).as_deref(), Some("f4240-a1.1"));
    }
}
