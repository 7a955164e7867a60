//! Writes errors with their causes, for people to read.

use std::error::Error;

/// Writes an error and its causes on one line. A cause that the text before it already contains is not
/// repeated.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Layered {
        #[error("cannot start")]
        Silent(#[source] std::io::Error),
        #[error("cannot start: {0}")]
        Quoting(#[source] std::io::Error),
    }

    #[test]
    fn causes_are_said_once() {
        let cause = || std::io::Error::other("disk full");
        assert_eq!(chain(&Layered::Silent(cause())), "cannot start: disk full");
        assert_eq!(chain(&Layered::Quoting(cause())), "cannot start: disk full");
    }
}
