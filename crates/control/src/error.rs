//! Why the configuration could not be read, validated or changed.

use async_nats::jetstream::context::KeyValueError;
use async_nats::jetstream::kv::{EntryError, HistoryError, UpdateError, WatchError};
use floodgate_event::Name;
use floodgate_event::document::DocumentError;

use super::change::Refused;
use super::checker::CheckError;
use super::components::ComponentError;

/// How often a change is tried again because another change was written first.
pub(crate) const MAX_CONFLICTS: usize = 8;

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The change contradicts the request's precondition or what else is configured.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A handler cannot be bound like that.
    #[error(transparent)]
    Binding(Box<BindingError>),
    /// The centre could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<BindingError> for ChangeError {
    fn from(error: BindingError) -> Self {
        Self::Binding(Box::new(error))
    }
}

/// Why a source cannot bind a handler as a change asks.
#[derive(Debug, thiserror::Error)]
pub enum BindingError {
    /// The handler refuses its parameters, or its check ended without an answer.
    #[error("source `{source_name}`, handler `{handler}` version {version}: {fault}")]
    Parameters {
        /// The source that binds it.
        source_name: Name,
        /// The handler that would be bound.
        handler: Name,
        /// The version that the binding would run.
        version: u32,
        /// What the check of the component said.
        #[source]
        fault: CheckError,
    },
    /// The component could not be read from the centre.
    #[error(transparent)]
    Component(#[from] ComponentError),
}

/// Why the configuration could not be read from the centre, or written there.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The bucket is out of reach, or does not exist.
    #[error("the centre's configuration bucket cannot be opened")]
    Bucket(#[source] KeyValueError),
    /// The document could not be read.
    #[error("the configuration cannot be read from the centre")]
    Read(#[source] EntryError),
    /// No acknowledgement came for the write, and the bucket did not hold it when it was read again. It may
    /// still arrive.
    #[error("the configuration cannot be written to the centre")]
    Write(#[source] UpdateError),
    /// Changes of the document cannot be followed.
    #[error("the configuration cannot be watched in the centre")]
    Watch(#[source] WatchError),
    /// The bucket's earlier revisions cannot be read.
    #[error("earlier configurations cannot be read from the centre")]
    History(#[source] HistoryError),
    /// Somebody deleted the document from the bucket. Floodgate never does.
    #[error("the configuration was deleted from the centre's bucket: put a copy from its history back")]
    Deleted,
    /// Each attempt found that another change had been written first.
    #[error("the configuration kept changing: tried {MAX_CONFLICTS} times")]
    Busy,
    /// The change makes a document that this program could not read again. It was not written.
    #[error("the change was not made: the configuration could not be read with it")]
    Unreadable(#[source] DocumentError),
    /// The document is not of the expected form, or would be too large.
    #[error("configuration: {0}")]
    Format(#[from] DocumentError),
}
