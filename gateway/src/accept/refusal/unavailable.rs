//! What a gateway may lack.

use floodgate_ingress::Shed;

/// What is not available.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unavailable {
    /// No configuration has arrived yet.
    #[error("no configuration yet")]
    NoConfiguration,
    /// This gateway cannot serve the source as it is configured.
    #[error("source not ready")]
    Refused,
    /// The configuration is older than the source allows.
    #[error("configuration too old")]
    StaleConfiguration,
    /// The memory for requests is used up.
    #[error("memory used up")]
    Memory,
    /// The provider's address that confirms a subscription does not answer.
    #[error("the subscription not confirmed")]
    Confirmation,
    /// The lane is shed.
    #[error("{0}")]
    Shed(Shed),
    /// Two sources have the same token, so that nobody can tell which one is meant.
    #[error("the token is that of several sources")]
    SharedToken,
    /// The events of a batch that came before this one took all the time that there is.
    #[error("the batch took too long")]
    Late,
    /// Some events of a batch are not durable.
    #[error("{missed} of {of} events not taken: send all of them again")]
    Events {
        /// How many are not.
        missed: usize,
        /// How many the batch has.
        of: usize,
    },
    /// The lane's queue is full.
    #[error("queue full")]
    Queue,
    /// Handlers must not run before a restart.
    #[error("handlers stopped")]
    Handlers,
    /// The block got no publish ack: no connection, no stream, a full stream, or no answer in time.
    #[error("not made durable")]
    NotDurable,
}
