//! What can be wrong with a stream's settings.

use std::fmt;
use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, PersistenceMode, RetentionPolicy, StorageType};

use super::{Contract, Kind, MAX_MESSAGE_BYTES};

/// A setting that keeps a stream from its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What was found, with the setting's name.
    pub found: String,
    /// How bad it is.
    pub harm: Harm,
}

/// What a wrong setting leads to, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    /// The stream takes messages until a limit is reached, and then refuses them.
    Limits,
    /// The stream takes no message, or nobody reads what it takes.
    Blocks,
    /// Acknowledged messages may be lost or stored twice.
    Loses,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.found)
    }
}

/// The consumers that a stream's readers, books and purges may need at once; nats-server's own default is
/// 1,000.
const LEAST_CONSUMERS: i32 = 200;

/// All faults, the worst first.
pub(super) fn all(contract: &Contract, config: &Config) -> Vec<Fault> {
    if matches!(contract.kind, Kind::Rejects | Kind::Held) {
        // These streams hold no events, and reaching their limits is normal.
        return blocks(config, contract).into_iter().flatten().collect();
    }
    let mut faults: Vec<Fault> = loses(config, contract.window).into_iter().flatten().collect();
    faults.extend(blocks(config, contract).into_iter().flatten());
    faults.extend(limits(config).into_iter().flatten());
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

fn blocks(config: &Config, contract: &Contract) -> Vec<Option<Fault>> {
    let blocks = |holds: bool, found: &str| fault(Harm::Blocks, holds, found);
    let takes_in = config.subjects.iter().any(|subject| covers(subject, &contract.subjects));
    vec![
        fault(Harm::Blocks, !takes_in, format!("it does not take in {}", contract.subjects)),
        blocks(config.mirror.is_some(), "it is a mirror, which takes nothing"),
        blocks(config.sealed, "it is sealed, and takes nothing"),
        blocks(config.no_ack, "no_ack is set: it acknowledges nothing"),
        blocks(config.allow_message_counter, "allow_msg_counter is set: it takes counters only"),
        blocks(
            contract.is_read_directly() && !config.allow_direct,
            "allow_direct is not set: its messages cannot be read",
        ),
        blocks(
            contract.takes_batches() && !config.allow_atomic_publish,
            "allow_atomic is not set: it refuses batches of appends",
        ),
    ]
}

fn limits(config: &Config) -> Vec<Option<Fault>> {
    let limits = |holds: bool, found: String| fault(Harm::Limits, holds, found);
    let (messages, per_subject) = (config.max_messages, config.max_messages_per_subject);
    let (bytes, consumers) = (config.max_message_size, config.max_consumers);
    let too_small = bytes > 0 && usize::try_from(bytes).is_ok_and(|bytes| bytes < MAX_MESSAGE_BYTES);
    vec![
        limits(messages > 0, format!("max_messages is {messages}: it refuses more")),
        limits(
            per_subject > 0 && config.discard_new_per_subject,
            format!("max_messages_per_subject is {per_subject}: it refuses more of a subject"),
        ),
        limits(too_small, format!("max_msg_size is {bytes} bytes, and blocks may have {MAX_MESSAGE_BYTES}")),
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

/// Returns true if `subject` matches everything that `wanted` matches.
pub(super) fn covers(subject: &str, wanted: &str) -> bool {
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
