//! Everything between Floodgate and NATS: connections that survive the loss of a server, the contract of each
//! stream and how streams are created, fenced appends, the lease of a writer, and readers that resume after
//! an interruption.

pub mod append;
pub mod central;
pub mod connect;
mod connection;
pub mod contract;
mod error;
mod failover;
pub mod lease;
pub mod placement;
pub mod provision;
pub mod reader;
mod region;
mod servers;
mod settings;

pub use self::connection::{ClientError, Connection, NeedsRestart};
pub use self::contract::Contract;
pub use self::error::SettingsError;
pub use self::region::RegionConnection;
pub use self::servers::{Identity, Servers};
pub use self::settings::Settings;
