//! What an ingress for the open internet does with requests, whatever they say: a rate for each address, an
//! order in which lanes are refused when there is not room for all, and a log of who sent what.

mod access_log;
mod address_rate;
mod shed;

pub use self::access_log::{AccessLog, AccessLogSettings, AccessOutput, Entry, Outcome};
pub use self::address_rate::{AddressRate, OverRate, Rate};
pub use self::shed::{QueueLevel, Room, Shed, Shedder, Why};
