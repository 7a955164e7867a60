//! Reads and writes the versioned messages: [`Block`], [`LogBlock`] and [`JournalBlock`].

use prost::Message;

use crate::proto::{Block, JournalBlock, LogBlock, log_block, record};
use crate::{EventId, Lane};

/// The current version of every format.
pub const VERSION: u32 = 1;

/// A message of a versioned format.
pub trait Versioned: Message + Default {
    /// The name of the format in errors.
    const NAME: &'static str;

    /// Returns the version that the message carries.
    fn version(&self) -> u32;

    /// Checks what protobuf does not: lengths of ids, known lanes, required parts.
    ///
    /// # Errors
    /// Names the first thing that is wrong.
    fn check(&self) -> Result<(), DecodeError>;
}

/// Decodes a message and checks it, so that callers need not.
///
/// # Errors
/// If the bytes are not protobuf, the version is another one, or a required part is missing or malformed.
pub fn decode<T: Versioned>(bytes: impl bytes::Buf) -> Result<T, DecodeError> {
    let message = T::decode(bytes).map_err(|error| DecodeError::Protobuf { format: T::NAME, error })?;
    if message.version() != VERSION {
        return Err(DecodeError::Version { format: T::NAME, found: message.version() });
    }
    message.check()?;
    Ok(message)
}

/// Why a message could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are not a protobuf message of this format.
    #[error("{format}: not protobuf")]
    Protobuf {
        /// Which format was expected.
        format: &'static str,
        /// What the protobuf decoder says.
        #[source]
        error: prost::DecodeError,
    },
    /// The message was written in another version of its format.
    #[error("{format}: version {found}, and this program reads version {VERSION}")]
    Version {
        /// Which format was expected.
        format: &'static str,
        /// The version that was found.
        found: u32,
    },
    /// A field that protobuf leaves optional is missing or malformed.
    #[error("{format}: {field} is missing or malformed")]
    Field {
        /// Which format was expected.
        format: &'static str,
        /// The path of the field.
        field: &'static str,
    },
}

impl Versioned for Block {
    const NAME: &'static str = "block";

    fn version(&self) -> u32 {
        self.version
    }

    fn check(&self) -> Result<(), DecodeError> {
        let require = require::<Self>;
        require(self.id.len() == 16, "id")?;
        require(Lane::try_from(self.lane).is_ok(), "lane")?;
        require(!self.events.is_empty(), "events")?;
        for event in &self.events {
            require(EventId::try_from(&*event.id).is_ok(), "events.id")?;
            require(event.body_hash.len() == 16, "events.body_hash")?;
            require(event.request.is_some(), "events.request")?;
        }
        Ok(())
    }
}

impl Versioned for LogBlock {
    const NAME: &'static str = "log block";

    fn version(&self) -> u32 {
        self.version
    }

    fn check(&self) -> Result<(), DecodeError> {
        let require = require::<Self>;
        require(self.id.len() == 16, "id")?;
        require(self.writer.len() == 16, "writer")?;
        match &self.content {
            None => require(false, "content"),
            Some(log_block::Content::Fence(_) | log_block::Content::Forget(_)) => Ok(()),
            Some(log_block::Content::Purge(purge)) => {
                require(Lane::try_from(purge.lane).is_ok(), "purge.lane")
            }
            Some(log_block::Content::Incarnation(new)) => {
                require(Lane::try_from(new.lane).is_ok(), "incarnation.lane")
            }
            Some(log_block::Content::Replica(replica)) => {
                let origin = replica.origin.as_ref();
                require(origin.is_some_and(|origin| Lane::try_from(origin.lane).is_ok()), "replica.origin")?;
                for entry in &replica.entries {
                    let verdict = entry.verdict.as_ref();
                    require(verdict.is_some_and(|v| v.event_id.len() == 16), "replica.entries.verdict")?;
                }
                Ok(())
            }
        }
    }
}

impl Versioned for JournalBlock {
    const NAME: &'static str = "journal block";

    fn version(&self) -> u32 {
        self.version
    }

    fn check(&self) -> Result<(), DecodeError> {
        let require = require::<Self>;
        require(self.id.len() == 16, "id")?;
        require(self.writer.len() == 16, "writer")?;
        for record in &self.records {
            let complete = match &record.record {
                None => false,
                Some(record::Record::Fence(_) | record::Record::Continued(_)) => true,
                Some(record::Record::Matched(matched)) => Lane::try_from(matched.lane).is_ok(),
                Some(record::Record::Attempt(attempt)) => attempt.delivery.is_some(),
                Some(record::Record::Discarded(discarded)) => discarded.delivery.is_some(),
            };
            require(complete, "records")?;
        }
        Ok(())
    }
}

fn require<T: Versioned>(holds: bool, field: &'static str) -> Result<(), DecodeError> {
    if holds { Ok(()) } else { Err(DecodeError::Field { format: T::NAME, field }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{self, Fence};

    #[test]
    fn another_version_is_refused() {
        let block = Block { version: 2, ..Block::default() };
        let error = decode::<Block>(&*block.encode_to_vec()).unwrap_err();
        assert_eq!(error.to_string(), "block: version 2, and this program reads version 1");
    }

    #[test]
    fn a_block_without_events_is_refused() {
        let block = Block { version: 1, id: vec![0; 16], lane: proto::Lane::Bulk.into(), ..Block::default() };
        let error = decode::<Block>(&*block.encode_to_vec()).unwrap_err();
        assert_eq!(error.to_string(), "block: events is missing or malformed");
    }

    #[test]
    fn a_log_block_needs_its_writer() {
        let content = Some(log_block::Content::Fence(Fence { holder: "a".into() }));
        let block = LogBlock { version: 1, id: vec![0; 16], content, ..LogBlock::default() };
        let error = decode::<LogBlock>(&*block.encode_to_vec()).unwrap_err();
        assert_eq!(error.to_string(), "log block: writer is missing or malformed");
    }

    proptest::proptest! {
        #[test]
        fn decoding_never_panics(bytes: Vec<u8>) {
            let _ = decode::<Block>(&*bytes);
            let _ = decode::<LogBlock>(&*bytes);
            let _ = decode::<JournalBlock>(&*bytes);
        }
    }
}
