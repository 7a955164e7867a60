//! How far a replay is, as the API says it.

use floodgate_api::replay::{EventError, Progress, State};
use indicatif::{ProgressBar, ProgressStyle};

use crate::exit::Failure;
use crate::table::Table;

/// Events that were not replayed, and why.
pub(super) fn table(errors: &[EventError]) -> String {
    let mut table = Table::default();
    for EventError { id, error } in errors {
        table.row([id, error]);
    }
    table.render()
}

/// A bar as long as there are events to replay.
pub(super) fn bar(progress: &Progress) -> ProgressBar {
    let bar = ProgressBar::new(progress.matched);
    // A template that does not parse leaves the default style.
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} events, {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// How far it is, as text.
pub(super) fn render(progress: &Progress) -> String {
    let outcomes = progress.outcomes.iter().map(|(outcome, count)| format!("{outcome} {count}"));
    let outcomes: Vec<String> = outcomes.collect();
    let outcomes = if outcomes.is_empty() { String::new() } else { format!(" ({})", outcomes.join(", ")) };
    let Progress { matched, replayed, failed, errors, .. } = progress;
    format!("{replayed} of {matched} events replayed{outcomes}, {failed} failed\n{}", table(errors))
}

/// Whether all that it tried went well, and it tried everything.
pub(super) fn verdict(progress: &Progress) -> Result<(), Failure> {
    match (progress.state, &progress.error) {
        (State::Failed, error) => Err(Failure::work(format!(
            "the replay was given up: {}",
            error.as_deref().unwrap_or("no reason given")
        ))),
        (State::Cancelled, _) => Err(Failure::work("the replay was cancelled")),
        _ if progress.failed > 0 => Err(Failure::work(format!("{} events failed", progress.failed))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
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
