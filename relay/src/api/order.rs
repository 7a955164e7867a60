//! Whether a source's `order_by` may change. It decides the shard of each event, and each shard knows
//! its own ids only: a copy of an event that is stored already would go to another shard, and be
//! stored and delivered again.

use std::time::Duration;

use floodgate_api::document::SourceDocument;
use floodgate_event::{Name, ProblemCode};
use floodgate_replicate::books::Seen;
use time::OffsetDateTime;

use super::{ApiError, ApiState};

const DAY: u64 = 86_400;

/// Refuses to change it while a copy of a stored event may still come.
pub(super) async fn check(state: &ApiState, name: &Name, document: &SourceDocument) -> Result<(), ApiError> {
    if state.books.shards() < 2 {
        return Ok(());
    }
    // Nothing is known of a source that is new, or that was deleted long ago; events of it say which.
    let before = state.control.last_order_by(name).await?;
    if before.is_some_and(|before| before == document.intake().order_by) {
        return Ok(());
    }
    let window = Duration::from_secs(u64::from(state.window_days) * DAY);
    let why = match state.books.seen(name).await? {
        Seen::Never => return Ok(()),
        Seen::At(at) if at + window < state.control.clock().earliest() => return Ok(()),
        Seen::At(at) => {
            let days = state.window_days;
            format!(
                "it had an event on {}, and ids are remembered for {days} days",
                OffsetDateTime::from(at).date()
            )
        }
        Seen::InTransit => "events of it are on their way to the centre".to_owned(),
        Seen::Unknown(region) => format!("region {region} is out of reach, and may have events of it"),
    };
    let detail = format!(
        "order_by: it decides the shard of an event, and with {} shards a copy of a stored event would be stored and \
         delivered again: source `{name}` cannot change it, as {why}. Give the source another name, or wait",
        state.books.shards()
    );
    Err(ApiError::new(ProblemCode::Conflict, detail))
}
