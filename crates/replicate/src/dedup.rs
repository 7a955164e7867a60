//! Dedup: whether an event is already in the central log, whatever region this copy came through and however
//! long ago the first one did.

pub mod claim;
pub mod ledger;
pub mod quarantine;
pub mod value;
