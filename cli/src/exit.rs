//! The exit status of the command: 0 if it did its work, 1 if the work failed, 2 if usage or configuration is
//! wrong.

use std::error::Error;

/// Why the command did not do its work, which decides its exit status.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The request or the configuration is wrong: exit status 2.
    Usage(Box<dyn Error>),
    /// The request was right, and the work failed: exit status 1.
    Work(Box<dyn Error>),
}

impl Failure {
    /// Makes a failure that is the caller's fault.
    pub(crate) fn usage(error: impl Into<Box<dyn Error>>) -> Self {
        Self::Usage(error.into())
    }

    /// Makes a failure that is not the caller's fault.
    pub(crate) fn work(error: impl Into<Box<dyn Error>>) -> Self {
        Self::Work(error.into())
    }

    /// Makes a failure that is the caller's fault if `is_usage`.
    pub(crate) fn either(error: impl Into<Box<dyn Error>>, is_usage: bool) -> Self {
        if is_usage { Self::usage(error) } else { Self::work(error) }
    }
}
