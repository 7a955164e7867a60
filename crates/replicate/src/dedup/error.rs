//! The error of the ledger and of the quarantine index in it.

/// Why the ledger could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The files cannot be read or written, or are damaged.
    #[error("ledger: {0}")]
    Tree(#[from] fjall::Error),
    /// A stored value does not have the form that this version writes.
    #[error("ledger: a value that this version cannot read")]
    Value,
}
