//! Why a snapshot, or a source of it, cannot be served.

use async_nats::SubscribeError;
use floodgate_event::seal::SealError;
use floodgate_event::{Name, ShardCount};
use floodgate_schemes::InvalidSettings;

use crate::region::bind::BindError;
use crate::region::components::ComponentError;

/// Why a source cannot be served as it is configured. Says nothing of any secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum SourceError {
    #[error("{text}")]
    Component { text: String, is_final: bool },
    #[error("{0}")]
    Sealed(#[source] SealError),
    #[error("{0}")]
    Secret(#[source] InvalidSettings),
    #[error("{0}")]
    Bind(#[from] BindError),
    #[error("the source asks for certificates of clients: {0}")]
    NoClients(&'static str),
}

impl SourceError {
    /// Several sources may bind the same component, which is named once.
    pub(super) fn component(error: &ComponentError) -> Self {
        Self::Component { text: error.to_string(), is_final: error.is_final() }
    }

    /// Returns true if another try would fail as well.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Component { is_final, .. } => *is_final,
            Self::Sealed(_) | Self::Secret(_) | Self::Bind(_) | Self::NoClients(_) => true,
        }
    }
}

impl OpenError {
    /// Returns true if another try would fail as well.
    pub(in crate::region) fn is_final(&self) -> bool {
        match self {
            Self::Subscribe(_) | Self::Source { .. } => false,
            Self::Region(_) | Self::Shards(_) => true,
        }
    }
}

/// Why a snapshot is not served at all.
#[derive(Debug, thiserror::Error)]
pub(in crate::region) enum OpenError {
    #[error("the snapshot is for region {0}")]
    Region(Name),
    #[error("the snapshot has {0} shards; their number cannot change under a running gateway")]
    Shards(ShardCount),
    #[error("cannot subscribe for publish acks: {0}")]
    Subscribe(#[source] SubscribeError),
    /// Only at the start, and only for a while.
    #[error("source {source_name}: {reason}")]
    Source { source_name: Name, reason: String },
}
