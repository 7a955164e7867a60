//! The record of refused requests: it tells an operator who was refused, when and why.
//!
//! A refusal never waits for it. A row goes into a bounded queue, and one task writes the queue to a stream
//! of the region, as blocks. Anyone can cause refusals at any rate, so the rows of an address and of a source
//! are limited, and what is left out is counted. Connections that ended before they had a request are counted
//! by peer and reason, and become rows once a minute.

mod ask;
mod caps;
mod connections;
mod holder;
mod record;
mod shown;
mod writer;

pub use self::holder::Holder;
pub use self::record::Rejects;
pub use self::shown::{Shown, reason};
pub use self::writer::Writer;

/// Makes an empty record, and the writer that has to run beside it.
///
/// # Errors
/// If the name of a metric is taken.
pub fn record(registry: &prometheus::Registry) -> prometheus::Result<(Rejects, Writer)> {
    let (rejects, messages) = Rejects::new(registry)?;
    Ok((rejects.clone(), Writer::new(rejects, messages)))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use floodgate_event::proto::Reject;
    use prometheus::Registry;

    use super::*;
    use crate::record::MAX_QUEUED;

    #[tokio::test]
    async fn a_flood_is_counted_and_the_next_row_says_how_much() {
        let (rejects, mut writer) = record(&Registry::new()).unwrap();
        let address = |last| IpAddr::from([192, 0, 2, last]);
        let note = |last| rejects.note(Some("stripe"), address(last), Reject::default);
        (0..1_000).for_each(|_| note(1));
        let first = writer.queued();
        assert!((1..100).contains(&first.len()), "{} rows of one address", first.len());
        note(2);
        let after = writer.queued();
        assert_eq!(after.len(), 1, "another address has its own share");
        assert_eq!(after[0].left_out, 1_000 - first.len() as u64);
    }

    #[tokio::test]
    async fn a_full_queue_holds_nobody_up() {
        let (rejects, mut writer) = record(&Registry::new()).unwrap();
        for source in 0..400_u32 {
            let address = IpAddr::from(source.to_be_bytes());
            rejects.note(Some(&source.to_string()), address, Reject::default);
        }
        assert_eq!(writer.queued().len(), MAX_QUEUED);
    }
}
