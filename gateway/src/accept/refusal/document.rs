//! What the sender is told of an event in a batch.

use floodgate_event::Problem;
use serde::Serialize;

/// A problem document, with the place of the event in its batch that it is about.
#[derive(Serialize)]
pub(super) struct Document {
    #[serde(flatten)]
    pub(super) problem: Problem,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) event: Option<usize>,
}
