//! `floodgate source test --vectors`.

use std::path::Path;

use floodgate_schemes::vectors::{Verdict, judge};

use super::files;
use crate::exit::Failure;
use crate::output;

/// Prints a line for each vector. If `check`, vectors that are not what the file expects are a failure.
pub(super) fn run(path: &Path, check: bool) -> Result<(), Failure> {
    let text = files::text(path).map_err(Failure::usage)?;
    let verdicts = judge(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Failure::usage(format!("{}: no list in JSON: line {line}, column {column}", path.display()))
    })?;
    let mut tally = Tally::default();
    for verdict in verdicts {
        tally.count(&verdict);
        output::json_line(&serde_json::to_string(&verdict).map_err(Failure::work)?)?;
    }
    match tally.summary() {
        Some(summary) if check => Err(Failure::work(summary)),
        Some(summary) => {
            eprintln!("warning: {summary}");
            Ok(())
        }
        None => Ok(()),
    }
}

/// How many vectors say what is expected, and how many are not that.
#[derive(Default)]
struct Tally {
    expected: usize,
    different: usize,
}

impl Tally {
    fn count(&mut self, verdict: &Verdict) {
        self.expected += usize::from(verdict.expect.is_some());
        self.different += usize::from(verdict.differs());
    }

    fn summary(&self) -> Option<String> {
        let Self { expected, different } = self;
        (*different > 0).then(|| format!("{different} of {expected} vectors are not what the file expects"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_a_check_fails_where_a_vector_is_not_as_expected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vectors.json");
        let run = |text: &str, check| {
            fs::write(&path, text).unwrap();
            super::run(&path, check)
        };
        let unknown =
            r#"{"provider": "p", "scheme": "s", "name": "n", "method": "POST", "url": "", "headers": {}"#;
        let (as_expected, different) = (
            format!("[{unknown}, \"expect\": \"invalid\"}}]"),
            format!("[{unknown}, \"expect\": \"valid\"}}, 1]"),
        );
        for (text, check) in [(&as_expected, true), (&different, false), (&"[1]".to_owned(), true)] {
            run(text, check).unwrap();
        }
        let Err(Failure::Work(error)) = run(&different, true) else { panic!("{different}") };
        assert_eq!(error.to_string(), "1 of 1 vectors are not what the file expects");
        assert!(matches!(run("{}", false), Err(Failure::Usage(_))));
        fs::write(&path, b"[\"\xff\"]").unwrap();
        assert!(matches!(super::run(&path, false), Err(Failure::Usage(_))));
        assert!(matches!(super::run(&folder.path().join("none"), false), Err(Failure::Usage(_))));
    }
}
