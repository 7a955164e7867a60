//! Why a test or the demo cannot go on.

use std::fmt;

/// What went wrong, in words, with the causes. Only read by people.
pub struct Failure {
    text: String,
    missing: bool,
}

/// Of everything in this crate.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// In these words.
    pub fn new(what: impl fmt::Display) -> Self {
        Self { text: what.to_string(), missing: false }
    }

    /// This machine lacks what the rest of a test needs: it is skipped, aloud.
    pub fn missing(what: impl fmt::Display) -> Self {
        Self { text: what.to_string(), missing: true }
    }

    /// The same, with what was being done when it happened.
    #[must_use]
    pub fn during(self, what: impl fmt::Display) -> Self {
        Self { text: format!("{what}: {}", self.text), ..self }
    }

    /// Whether this machine lacks something, rather than something being wrong.
    pub fn is_missing(&self) -> bool {
        self.missing
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        Self::new(text)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The test harness prints a failure by `Debug`; lines of logs in it should stay lines.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Says what was being done.
pub trait Context<T> {
    /// Adds what was being done to a failure.
    ///
    /// # Errors
    /// The same as before, in more words.
    fn during(self, what: impl fmt::Display) -> Result<T>;
}

impl<T, E: Into<Failure>> Context<T> for Result<T, E> {
    fn during(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|error| error.into().during(what))
    }
}
