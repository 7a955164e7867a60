//! Whether a stream's settings let it do its work: keep what was acknowledged, and take what is published.

use std::fmt;
use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, PersistenceMode, RetentionPolicy, StorageType};

/// What a stream needs beside the settings that all do.
#[derive(Clone, Copy, Debug)]
pub struct Needs<'a> {
    /// The subjects that it takes in.
    pub subjects: &'a str,
    /// The largest message, in bytes.
    pub message_bytes: usize,
    /// The least duplicate window, if it is known.
    pub window: Option<Duration>,
    /// Whether single messages are read without asking the leader.
    pub direct: bool,
}

/// A setting that makes a stream unfit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What was found, with the setting's name.
    pub found: String,
    /// What comes of it.
    pub harm: Harm,
}

/// What a setting does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    /// The stream refuses what it would have to take, now or once it holds enough.
    Limits,
    /// The stream takes nothing, or nobody reads what it takes.
    Blocks,
    /// What was acknowledged may go, or be there twice.
    Loses,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.found)
    }
}

/// The consumers that a stream's readers, books and purges may need at once;
/// nats-server's own default is 1,000.
const LEAST_CONSUMERS: i32 = 200;

/// All that makes a stream unfit, the worst first.
pub fn faults(config: &Config, needs: Needs<'_>) -> Vec<Fault> {
    let mut faults: Vec<Fault> = loses(config, needs.window).into_iter().flatten().collect();
    faults.extend(blocks(config, needs).into_iter().flatten());
    faults.extend(limits(config, needs).into_iter().flatten());
    faults
}

fn fault(harm: Harm, holds: bool, found: impl Into<String>) -> Option<Fault> {
    holds.then(|| Fault { found: found.into(), harm })
}

fn loses(config: &Config, least: Option<Duration>) -> Vec<Option<Fault>> {
    let loses = |holds: bool, found: &str| fault(Harm::Loses, holds, found);
    let window = config.duplicate_window;
    let per_subject = config.max_messages_per_subject;
    let drops_per_subject = per_subject > 0 && !config.discard_new_per_subject;
    vec![
        loses(config.storage != StorageType::File, "it is kept in memory"),
        loses(config.discard != DiscardPolicy::New, "discard is old"),
        loses(!config.max_age.is_zero(), "it has a max_age"),
        loses(config.retention != RetentionPolicy::Limits, "messages go once consumed (retention)"),
        fault(
            Harm::Loses,
            drops_per_subject,
            format!("max_messages_per_subject is {per_subject}: of each subject, older ones go"),
        ),
        loses(
            config.persist_mode == Some(PersistenceMode::Async),
            "it acknowledges before it writes (persist_mode is async)",
        ),
        loses(config.allow_rollup, "allow_rollup_hdrs lets a publisher purge it"),
        loses(
            config.subject_transform.is_some(),
            "subject_transform stores messages where nobody reads them",
        ),
        fault(
            Harm::Loses,
            least.is_some_and(|least| window < least),
            format!("duplicate window {window:?}, needed {:?}", least.unwrap_or_default()),
        ),
    ]
}

fn blocks(config: &Config, needs: Needs<'_>) -> Vec<Option<Fault>> {
    let blocks = |holds: bool, found: &str| fault(Harm::Blocks, holds, found);
    let takes_in = config.subjects.iter().any(|subject| covers(subject, needs.subjects));
    vec![
        fault(Harm::Blocks, !takes_in, format!("it does not take in {}", needs.subjects)),
        blocks(config.mirror.is_some(), "it is a mirror, which takes nothing"),
        blocks(config.sealed, "it is sealed, and takes nothing"),
        blocks(config.no_ack, "no_ack is set: it acknowledges nothing"),
        blocks(config.allow_message_counter, "allow_msg_counter is set: it takes counters only"),
        blocks(needs.direct && !config.allow_direct, "allow_direct is not set: its messages cannot be read"),
    ]
}

fn limits(config: &Config, needs: Needs<'_>) -> Vec<Option<Fault>> {
    let limits = |holds: bool, found: String| fault(Harm::Limits, holds, found);
    let (messages, per_subject) = (config.max_messages, config.max_messages_per_subject);
    let (bytes, consumers) = (config.max_message_size, config.max_consumers);
    let too_small = bytes > 0 && usize::try_from(bytes).is_ok_and(|bytes| bytes < needs.message_bytes);
    vec![
        limits(messages > 0, format!("max_messages is {messages}: it refuses more")),
        limits(
            per_subject > 0 && config.discard_new_per_subject,
            format!("max_messages_per_subject is {per_subject}: it refuses more of a subject"),
        ),
        limits(
            too_small,
            format!("max_msg_size is {bytes} bytes, and blocks may have {}", needs.message_bytes),
        ),
        limits(
            (1..LEAST_CONSUMERS).contains(&consumers),
            format!("max_consumers is {consumers}, and {LEAST_CONSUMERS} may be needed"),
        ),
        limits(config.deny_purge, "deny_purge is set: it fills, as nothing can be purged".to_owned()),
        limits(
            config.sources.as_ref().is_some_and(|sources| !sources.is_empty()),
            "it takes messages from other streams (sources)".to_owned(),
        ),
    ]
}

/// Whether everything of `wanted` is of `subject`.
fn covers(subject: &str, wanted: &str) -> bool {
    let (mut subject, mut wanted) = (subject.split('.'), wanted.split('.'));
    loop {
        match (subject.next(), wanted.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(token)) if token != ">" => {}
            (Some(own), Some(token)) if own == token => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDS: Needs<'static> = Needs {
        subjects: "in.bulk.*",
        message_bytes: 8 * 1024 * 1024,
        window: Some(Duration::from_secs(10)),
        direct: false,
    };

    fn good() -> Config {
        Config {
            subjects: vec!["in.bulk.*".to_owned()],
            storage: StorageType::File,
            discard: DiscardPolicy::New,
            duplicate_window: Duration::from_secs(120),
            ..Config::default()
        }
    }

    /// What one change of a good stream does, and what it is called.
    fn harm(change: impl FnOnce(&mut Config)) -> (Harm, String) {
        let mut config = good();
        change(&mut config);
        let mut found = faults(&config, NEEDS);
        assert_eq!(found.len(), 1, "{found:?}");
        let Fault { found, harm } = found.remove(0);
        (harm, found)
    }

    #[test]
    fn what_the_relay_makes_is_fit() {
        assert_eq!(faults(&good(), NEEDS), []);
        let unlimited = Config {
            max_messages: -1,
            max_messages_per_subject: -1,
            max_message_size: -1,
            max_consumers: -1,
            ..good()
        };
        assert_eq!(faults(&unlimited, NEEDS), [], "as the server answers");
    }

    #[test]
    fn every_way_of_losing_events_is_named() {
        let memory = harm(|config| config.storage = StorageType::Memory);
        assert_eq!(memory, (Harm::Loses, "it is kept in memory".to_owned()));
        assert_eq!(harm(|config| config.discard = DiscardPolicy::Old).0, Harm::Loses);
        assert_eq!(harm(|config| config.max_age = Duration::from_secs(1)).0, Harm::Loses);
        assert_eq!(harm(|config| config.retention = RetentionPolicy::Interest).0, Harm::Loses);
        assert_eq!(harm(|config| config.allow_rollup = true).0, Harm::Loses);
        let (lost, found) = harm(|config| config.max_messages_per_subject = 1);
        assert!(lost == Harm::Loses && found.contains("max_messages_per_subject is 1"), "{found}");
        let (lost, found) = harm(|config| config.duplicate_window = Duration::from_secs(1));
        assert_eq!((lost, found.as_str()), (Harm::Loses, "duplicate window 1s, needed 10s"));
        assert_eq!(harm(|config| config.persist_mode = Some(PersistenceMode::Async)).0, Harm::Loses);
    }

    #[test]
    fn what_answers_503_is_named() {
        assert_eq!(harm(|config| config.sealed = true).0, Harm::Blocks);
        assert_eq!(harm(|config| config.no_ack = true).0, Harm::Blocks);
        assert_eq!(harm(|config| config.allow_message_counter = true).0, Harm::Blocks);
        assert_eq!(harm(|config| config.subjects = vec!["in.bulk.0".to_owned()]).0, Harm::Blocks);
        assert_eq!(harm(|config| config.max_messages = 9).0, Harm::Limits);
        assert_eq!(harm(|config| config.max_message_size = 1_000).0, Harm::Limits);
        assert_eq!(harm(|config| config.max_consumers = 3).0, Harm::Limits);
        assert_eq!(harm(|config| config.deny_purge = true).0, Harm::Limits);
        let per_subject = |config: &mut Config| {
            (config.max_messages_per_subject, config.discard_new_per_subject) = (5, true);
        };
        assert_eq!(harm(per_subject).0, Harm::Limits);
    }

    #[test]
    fn wildcards_cover_what_they_match() {
        for subject in ["in.bulk.*", "in.*.*", "in.>", ">"] {
            assert!(covers(subject, "in.bulk.*"), "{subject}");
        }
        for subject in ["in.bulk.0", "in.bulk", "in.standard.*", "in.bulk.*.more"] {
            assert!(!covers(subject, "in.bulk.*"), "{subject}");
        }
        assert!(covers("setaside.>", "setaside.>") && !covers("setaside.*", "setaside.>"));
    }
}
