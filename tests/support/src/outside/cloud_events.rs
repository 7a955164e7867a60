//! CloudEvents as the public library writes them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::run;
use crate::Result;

/// A CloudEvent as the public library writes it, in two modes.
#[derive(Debug, Deserialize)]
pub struct CloudEvent {
    /// Attributes in headers.
    pub binary: Message,
    /// All of it in the body.
    pub structured: Message,
}

/// A part of an HTTP request.
#[derive(Clone, Debug, Deserialize)]
pub struct Message {
    /// The headers.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

/// Has the public library write CloudEvents, each of which has `attributes` and `data`.
///
/// # Errors
/// If the program fails.
pub async fn cloud_events(events: &serde_json::Value) -> Result<Vec<CloudEvent>> {
    run("cloud_events.py", &[], serde_json::to_vec(events)?).await
}
