//! Shows the progress of a replay.

use floodgate_api::replay::{EventError, Progress, State};
use indicatif::{ProgressBar, ProgressStyle};

use super::Replay;
use crate::api::{Client, ClientError};
use crate::table::Table;

/// Lists the events that were not replayed, and why.
pub(super) fn table(errors: &[EventError]) -> String {
    let mut table = Table::default();
    for EventError { id, error } in errors {
        table.row([id, error]);
    }
    table.render()
}

/// A progress bar over the events to replay.
pub(super) fn bar(progress: &Progress) -> ProgressBar {
    let bar = ProgressBar::new(progress.matched);
    // A template that does not parse leaves the default style.
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} events, {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// Writes the progress as text.
pub(super) fn render(progress: &Progress) -> String {
    let outcomes = progress.outcomes.iter().map(|(outcome, count)| format!("{outcome} {count}"));
    let outcomes: Vec<String> = outcomes.collect();
    let outcomes = if outcomes.is_empty() { String::new() } else { format!(" ({})", outcomes.join(", ")) };
    let Progress { matched, replayed, failed, errors, .. } = progress;
    format!("{replayed} of {matched} events replayed{outcomes}, {failed} failed\n{}", table(errors))
}

impl Replay for Progress {
    fn id(&self) -> &str {
        &self.id
    }

    fn state(&self) -> State {
        self.state
    }

    fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    fn tried(&self) -> u64 {
        self.replayed + self.failed
    }

    fn shortfall(&self) -> Option<String> {
        (self.failed > 0).then(|| format!("{} events failed", self.failed))
    }

    async fn look(api: &Client, id: &str) -> Result<Self, ClientError> {
        api.replay(id).await
    }

    async fn cancel(api: &Client, id: &str) -> Result<Self, ClientError> {
        api.cancel_replay(id).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::verdict;
    use super::*;

    fn progress(state: State, failed: u64) -> Progress {
        Progress {
            id: "rpl_1".to_owned(),
            state,
            matched: 5,
            replayed: 3,
            failed,
            outcomes: [("change".to_owned(), 2), ("drop".to_owned(), 1)].into(),
            errors: vec![EventError { id: "evt_1".to_owned(), error: "trap".to_owned() }],
            error: None,
            started_at: String::new(),
        }
    }

    #[test]
    fn only_a_replay_without_failures_that_came_to_its_end_is_a_success() {
        assert!(verdict(&progress(State::Done, 0)).is_ok());
        for (state, failed) in [(State::Done, 1), (State::Cancelled, 0), (State::Failed, 0)] {
            assert!(verdict(&progress(state, failed)).is_err(), "{state:?} {failed}");
        }
    }

    #[test]
    fn it_says_what_handlers_made_of_them_and_why_others_failed() {
        let text = render(&progress(State::Done, 1));
        assert_eq!(text, "3 of 5 events replayed (change 2, drop 1), 1 failed\nevt_1  trap\n");
    }
}
