//! Why a deployment does not run.

use crate::supervisor::PartEnded;
use crate::{folder, layout, nats_server, ports, probe, ready, regions, shards};

/// Why a deployment does not run.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Reason);

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) enum Reason {
    Regions(#[from] regions::Error),
    NatsServer(#[from] nats_server::Error),
    Folder(#[from] folder::Error),
    ReadyFile(#[from] ready::Error),
    Shards(#[from] shards::Error),
    Ports(#[from] ports::Error),
    Layout(#[from] layout::Error),
    Probe(#[from] probe::Error),
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
        matches!(
            &self.0,
            Reason::Regions(_)
                | Reason::Ports(ports::Error::Base(_))
                | Reason::Shards(shards::Error::Differs { .. })
        )
    }
}
