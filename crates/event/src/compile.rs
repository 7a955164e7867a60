//! The limits of a process that compiles a component, and what its end tells about them. Gateways and the
//! relay start such processes. Each process lowers its own limits before it reads a stranger's component.

use std::fmt;

/// The most processor time of a compilation, in seconds.
pub const PROCESSOR_SECONDS: u64 = 30;
/// The most writable memory of a compilation, in bytes.
pub const MEMORY_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// The limit that ended a compiling process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The process used up its [`PROCESSOR_SECONDS`].
    Processor,
    /// The process asked for more than [`MEMORY_BYTES`].
    Memory,
    /// Something else killed the process. Most likely the kernel did, because the machine ran out of memory.
    Machine,
}

impl Limit {
    /// Returns the limit that the signal which ended the process stands for; `None` for any other signal. The
    /// numbers are those of Linux on every architecture that Floodgate runs on.
    pub const fn of_signal(signal: i32) -> Option<Self> {
        match signal {
            // SIGXCPU.
            24 => Some(Self::Processor),
            // SIGABRT: an allocation that fails aborts.
            6 => Some(Self::Memory),
            // SIGKILL: the kernel sends it when memory runs out.
            9 => Some(Self::Machine),
            _ => None,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Processor => {
                write!(f, "it takes more than {PROCESSOR_SECONDS} s of processor time to compile")
            }
            Self::Memory => write!(f, "it takes more than {} MiB of memory to compile", MEMORY_BYTES >> 20),
            Self::Machine => {
                f.write_str("its compiler was killed: most likely the machine has too little memory for it")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_named() {
        let named = |signal| Limit::of_signal(signal).map(|limit| limit.to_string());
        assert_eq!(named(24).as_deref(), Some("it takes more than 30 s of processor time to compile"));
        assert_eq!(named(6).as_deref(), Some("it takes more than 2048 MiB of memory to compile"));
        assert!(named(9).is_some_and(|text| text.contains("killed")));
        assert_eq!(named(15), None);
    }
}
