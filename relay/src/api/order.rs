//! Decides whether a source's `order_by` may change. It determines the shard of each event, and a shard only
//! knows its own ids. If it changed too early, a second copy of a stored event would go to another shard, and
//! be stored and delivered again.

use std::time::Duration;

use floodgate_api::document::SourceDocument;
use floodgate_event::{Name, ProblemCode};
use floodgate_replicate::books::LastEvent;
use time::OffsetDateTime;

use super::{ApiError, ApiState};

const DAY: u64 = 86_400;

/// Refuses a change of `order_by` while a second copy of a stored event may still arrive.
pub(super) async fn check(state: &ApiState, name: &Name, document: &SourceDocument) -> Result<(), ApiError> {
    if state.books.shards() < 2 {
        return Ok(());
    }
    // Nothing is known about a source that is new or was deleted long ago. Its events, if there are any,
    // decide.
    let before = state.control.last_order_by(name).await?;
    if before.is_some_and(|before| before == document.intake().order_by) {
        return Ok(());
    }
    let window = Duration::from_secs(u64::from(state.window_days) * DAY);
    let why = match state.books.last_event(name).await? {
        LastEvent::Never => return Ok(()),
        LastEvent::At(at) if at + window < state.control.clock().earliest() => return Ok(()),
        LastEvent::At(at) => {
            let days = state.window_days;
            format!(
                "it had an event on {}, and ids are remembered for {days} days",
                OffsetDateTime::from(at).date()
            )
        }
        LastEvent::InTransit => "events of it are on their way to the centre".to_owned(),
        LastEvent::Unknown(region) => format!("region {region} is out of reach, and may have events of it"),
    };
    let detail = format!(
        "order_by: it decides the shard of an event, and with {} shards a copy of a stored event would be stored and \
         delivered again: source `{name}` cannot change it, as {why}. Give the source another name, or wait",
        state.books.shards()
    );
    Err(ApiError::new(ProblemCode::Conflict, detail))
}
