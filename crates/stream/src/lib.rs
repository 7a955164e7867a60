//! Everything between Floodgate and NATS: connections that survive the loss of a server, what each stream
//! must be and how it is made, appends behind a fence, the lease of a writer, and readers that keep their
//! place.

pub mod append;
pub mod central;
mod choice;
pub mod connect;
pub mod fitness;
pub mod lease;
mod link;
pub mod placement;
pub mod provision;
pub mod reader;
mod servers;
mod settings;

pub use self::link::{Link, LinkError, NeedsRestart};
pub use self::servers::{Identity, Servers};
pub use self::settings::{Settings, SettingsError};
