//! A whole Floodgate deployment on one machine, for development: a nats-server per region and one for the
//! centre, a gateway per region and a relay, each a process of its own.
//!
//! Everything that a deployment needs is kept in one folder, so that a restart finds the same keys, ports and
//! streams. The library prints nothing; the parts write logs into the folder.
//!
//! [`Deployment`] is the deployment itself. [`trust`], [`files`] and [`tether`] are what it builds on, and
//! useful to other commands that keep secrets on this machine: whose files are used, how they are written,
//! and processes that end with the one that started them. [`nats_server`] says which nats-server is new
//! enough.

mod certificates;
mod credentials;
mod deployment;
mod error;
pub mod files;
mod folder;
mod layout;
pub mod nats_server;
mod part;
mod ports;
mod probe;
mod ready;
mod regions;
mod shards;
mod supervisor;
pub mod tether;
pub mod trust;

pub use deployment::{Deployment, Options};
pub use error::Error;
pub use ports::DEFAULT_BASE as DEFAULT_PORT_BASE;
pub use ready::{Admin, Centre, Ready, Region};
