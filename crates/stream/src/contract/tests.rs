use async_nats::jetstream::stream::{
    PersistenceMode, RetentionPolicy, Source, StorageType, SubjectTransform,
};
use floodgate_event::{ShardCount, ShardId};

use super::fault::covers;
use super::*;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Every kind of stream, as a gateway, a relay and a doctor see it.
fn contracts() -> Vec<Contract> {
    let published = Contract::regional().map(|contract| contract.with_publish_timeout(TIMEOUT));
    Contract::regional().chain(published).chain(Contract::central(ShardCount::new(2).unwrap())).collect()
}

/// A change of one setting.
type Plant = fn(&mut Config);

/// Each change that is a fault of every stream, with its harm and what the fault names.
const PLANTS: [(Harm, &str, Plant); 21] = [
    (Harm::Loses, "it is kept in memory", |config| config.storage = StorageType::Memory),
    (Harm::Loses, "discard is old", |config| config.discard = DiscardPolicy::Old),
    (Harm::Loses, "max_age", |config| config.max_age = Duration::from_secs(1)),
    (Harm::Loses, "retention", |config| config.retention = RetentionPolicy::Interest),
    (Harm::Loses, "retention", |config| config.retention = RetentionPolicy::WorkQueue),
    (Harm::Loses, "max_messages_per_subject is 1", |config| config.max_messages_per_subject = 1),
    (Harm::Loses, "persist_mode", |config| config.persist_mode = Some(PersistenceMode::Async)),
    (Harm::Loses, "allow_rollup_hdrs", |config| config.allow_rollup = true),
    (Harm::Loses, "subject_transform", |config| {
        let (source, destination) = (">".to_owned(), "elsewhere.>".to_owned());
        config.subject_transform = Some(SubjectTransform { source, destination });
    }),
    (Harm::Blocks, "it does not take in", |config| config.subjects = vec!["elsewhere".to_owned()]),
    (Harm::Blocks, "it does not take in", |config| config.subjects.clear()),
    (Harm::Blocks, "mirror", |config| config.mirror = Some(Source::default())),
    (Harm::Blocks, "sealed", |config| config.sealed = true),
    (Harm::Blocks, "no_ack", |config| config.no_ack = true),
    (Harm::Blocks, "allow_msg_counter", |config| config.allow_message_counter = true),
    (Harm::Limits, "max_messages is 9", |config| config.max_messages = 9),
    (Harm::Limits, "max_messages_per_subject is 5", |config| {
        (config.max_messages_per_subject, config.discard_new_per_subject) = (5, true);
    }),
    (Harm::Limits, "max_msg_size is 1000", |config| config.max_message_size = 1_000),
    (Harm::Limits, "max_consumers is 3", |config| config.max_consumers = 3),
    (Harm::Limits, "deny_purge", |config| config.deny_purge = true),
    (Harm::Limits, "sources", |config| config.sources = Some(vec![Source::default()])),
];

/// Plants one change and checks that it is the only fault.
fn assert_fault(contract: &Contract, (harm, named, plant): (Harm, &str, Plant)) {
    let mut config = contract.config();
    plant(&mut config);
    let faults = contract.faults(&config);
    let is_named = |fault: &Fault| fault.harm == harm && fault.found.contains(named);
    assert!(faults.len() == 1 && faults.iter().all(is_named), "{named} of {}: {faults:?}", contract.name());
}

#[test]
fn what_a_contract_creates_has_no_fault() {
    for contract in contracts() {
        let config = contract.config();
        assert_eq!(contract.faults(&config), [], "{}", contract.name());
        let answered = Config {
            max_messages: -1,
            max_messages_per_subject: -1,
            max_message_size: -1,
            max_consumers: -1,
            max_bytes: 1 << 30,
            num_replicas: 3,
            ..config
        };
        assert_eq!(contract.faults(&answered), [], "as the server answers, and with an operator's choices");
    }
}

#[test]
fn each_planted_change_is_a_fault_of_every_stream() {
    for contract in contracts() {
        for plant in PLANTS {
            assert_fault(&contract, plant);
        }
    }
}

#[test]
fn what_only_some_streams_need_is_a_fault_of_those() {
    let batches = (Harm::Blocks, "allow_atomic", (|config| config.allow_atomic_publish = false) as Plant);
    let direct = (Harm::Blocks, "allow_direct", (|config| config.allow_direct = false) as Plant);
    let window = (
        Harm::Loses,
        "duplicate window 1s, needed 10s",
        (|config| config.duplicate_window = Duration::from_secs(1)) as Plant,
    );
    assert_fault(&Contract::log(ShardId::FIRST), batches);
    for contract in Contract::central(ShardCount::new(2).unwrap()) {
        assert_fault(&contract, direct);
    }
    for contract in Contract::regional() {
        assert_fault(&contract.with_publish_timeout(TIMEOUT), window);
    }
}

#[test]
fn the_worst_fault_comes_first() {
    let contract = Contract::lane(Lane::Bulk);
    let bad = Config { max_messages: 9, sealed: true, storage: StorageType::Memory, ..contract.config() };
    let harms: Vec<Harm> = contract.faults(&bad).iter().map(|fault| fault.harm).collect();
    assert_eq!(harms, [Harm::Loses, Harm::Blocks, Harm::Limits]);
}

#[test]
fn the_centre_has_two_streams_for_each_shard_and_one_for_all() {
    let names: Vec<_> =
        Contract::central(ShardCount::new(2).unwrap()).map(|contract| contract.name().to_owned()).collect();
    assert_eq!(names, ["EVENTS_0", "JOURNAL_0", "EVENTS_1", "JOURNAL_1", "SET_ASIDE"]);
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
