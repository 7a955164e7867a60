//! The end-to-end tests: real processes on this machine, started by `floodgate dev` on free ports of the
//! loopback address. One at a time: each loads the machine, and some kill.

mod attack;
mod bad_input;
mod books;
mod clock;
mod dedup;
mod doctor;
mod durability;
mod held;
mod in_force;
mod kills;
mod lease;
mod ledger;
mod originals;
mod outage;
mod outside_reader;
mod outside_tools;
mod own_applications;
mod providers;
mod quarantine;
mod rejects;
mod reload;
mod restore;
mod rollout;
mod second_relay;
mod shards;
mod signatures;
mod templates;
mod trace;
mod twenty_thousand;
