//! Decides whether an event is already in the central log, whichever region this copy came through and
//! however long ago the first one came.

pub mod claim;
mod error;
pub mod ledger;
pub mod quarantine;
pub mod value;
