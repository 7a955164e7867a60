//! Why a deployment does not run.

use crate::folder::FolderError;
use crate::layout::LayoutError;
use crate::nats_server::NatsServerError;
use crate::ports::PortError;
use crate::probe::ProbeError;
use crate::ready::ReadyFileError;
use crate::regions::InvalidRegions;
use crate::shards::ShardsError;
use crate::supervisor::PartEnded;

/// Why a deployment does not run.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Reason);

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) enum Reason {
    Regions(#[from] InvalidRegions),
    NatsServer(#[from] NatsServerError),
    Folder(#[from] FolderError),
    ReadyFile(#[from] ReadyFileError),
    Shards(#[from] ShardsError),
    Ports(#[from] PortError),
    Layout(#[from] LayoutError),
    Probe(#[from] ProbeError),
    PartEnded(#[from] PartEnded),
}

impl<T: Into<Reason>> From<T> for Error {
    fn from(reason: T) -> Self {
        Self(reason.into())
    }
}

impl Error {
    /// Returns true if an option is wrong, and false if the work failed.
    pub fn is_usage(&self) -> bool {
        match &self.0 {
            Reason::Regions(_)
            | Reason::Ports(PortError::Base(_))
            | Reason::Shards(ShardsError::Differs { .. }) => true,
            _ => false,
        }
    }
}
