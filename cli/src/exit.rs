//! How the command ends: 0 done, 1 the work failed, 2 wrong usage or configuration.

use std::error::Error;

/// Why the command did not do its work, and so its exit status.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was asked, or how it was configured, is wrong: exit status 2.
    Usage(Box<dyn Error>),
    /// It was asked for rightly and did not work: exit status 1.
    Work(Box<dyn Error>),
}

impl Failure {
    /// The caller's fault.
    pub(crate) fn usage(error: impl Into<Box<dyn Error>>) -> Self {
        Self::Usage(error.into())
    }

    /// Not the caller's fault.
    pub(crate) fn work(error: impl Into<Box<dyn Error>>) -> Self {
        Self::Work(error.into())
    }

    /// The caller's fault if `is_usage`, else not.
    pub(crate) fn either(error: impl Into<Box<dyn Error>>, is_usage: bool) -> Self {
        if is_usage { Self::usage(error) } else { Self::work(error) }
    }
}
