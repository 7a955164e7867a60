//! The record of refused requests: copied from each region to the centre, and listed there.
//!
//! It is a record for people. The log, the ledger and the books know nothing of it, and a record that is lost
//! loses no event.

mod copy;
mod list;

pub use self::copy::{Copier, CopyMetrics};
pub use self::list::{InvalidKey, Key, ListError, Page, RejectLog, Row, Selection};
