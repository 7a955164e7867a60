//! How gateway and relay reach a NATS server: what their configuration files say of it, and a connection that
//! goes on by another server when one goes.

mod choice;
pub mod fitness;
mod link;
mod servers;
mod settings;

pub use self::link::{Link, LinkError, NeedsRestart};
pub use self::servers::{Identity, Servers};
pub use self::settings::{Settings, SettingsError};
