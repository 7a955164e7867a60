//! How far a replay is, as the API says it.

use std::collections::BTreeMap;

use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use crate::exit::Failure;
use crate::table::Table;

/// A replay.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Progress {
    id: String,
    state: State,
    matched: u64,
    replayed: u64,
    failed: u64,
    outcomes: BTreeMap<String, u64>,
    errors: Vec<EventError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    started_at: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Running,
    Done,
    Cancelled,
    Failed,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EventError {
    id: String,
    error: String,
}

/// Events that were not replayed, and why.
pub(super) fn table(errors: &[EventError]) -> String {
    let mut table = Table::default();
    for EventError { id, error } in errors {
        table.row([id, error]);
    }
    table.render()
}

impl Progress {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn is_running(&self) -> bool {
        self.state == State::Running
    }

    /// Events that are done with.
    pub(super) fn tried(&self) -> u64 {
        self.replayed + self.failed
    }

    pub(super) fn bar(&self) -> ProgressBar {
        let bar = ProgressBar::new(self.matched);
        // A template that does not parse leaves the default style.
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} events, {eta} left") {
            bar.set_style(style);
        }
        bar
    }

    pub(super) fn render(&self) -> String {
        let outcomes = self.outcomes.iter().map(|(outcome, count)| format!("{outcome} {count}"));
        let outcomes: Vec<String> = outcomes.collect();
        let outcomes =
            if outcomes.is_empty() { String::new() } else { format!(" ({})", outcomes.join(", ")) };
        let Self { matched, replayed, failed, errors, .. } = self;
        format!("{replayed} of {matched} events replayed{outcomes}, {failed} failed\n{}", table(errors))
    }

    /// Whether all that it tried went well, and it tried everything.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        match (self.state, &self.error) {
            (State::Failed, error) => Err(Failure::work(format!(
                "the replay was given up: {}",
                error.as_deref().unwrap_or("no reason given")
            ))),
            (State::Cancelled, _) => Err(Failure::work("the replay was cancelled")),
            _ if self.failed > 0 => Err(Failure::work(format!("{} events failed", self.failed))),
            _ => Ok(()),
        }
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
        assert!(progress(State::Done, 0).verdict().is_ok());
        for (state, failed) in [(State::Done, 1), (State::Cancelled, 0), (State::Failed, 0)] {
            assert!(progress(state, failed).verdict().is_err(), "{state:?} {failed}");
        }
    }

    #[test]
    fn it_says_what_handlers_made_of_them_and_why_others_failed() {
        let text = progress(State::Done, 1).render();
        assert_eq!(text, "3 of 5 events replayed (change 2, drop 1), 1 failed\nevt_1  trap\n");
    }
}
