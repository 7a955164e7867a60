//! The limits of a process that compiles a component, and what its end says of them. Gateways and the relay
//! start such processes; each lowers its own limits before it reads what a stranger wrote.

use std::fmt;

/// Processor time, in seconds.
pub const PROCESSOR_SECONDS: u64 = 30;
/// Memory that can be written to, in bytes.
pub const MEMORY_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// Which limit ended such a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// [`PROCESSOR_SECONDS`].
    Processor,
    /// [`MEMORY_BYTES`].
    Memory,
    /// What the machine had left, or whoever may end processes there.
    Machine,
}

impl Limit {
    /// What a signal that ended the process says; none for signals of other meaning. Linux numbers them so on
    /// every architecture that Floodgate runs on.
    pub const fn of_signal(signal: i32) -> Option<Self> {
        match signal {
            // SIGXCPU.
            24 => Some(Self::Processor),
            // SIGABRT: an allocation that fails aborts.
            6 => Some(Self::Memory),
            // SIGKILL: the kernel's way out where memory ends.
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
