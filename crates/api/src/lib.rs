//! The contract of the admin API: what its requests and answers say. The relay that answers, the command that
//! asks and the OpenAPI document share these types.

pub mod answer;
pub mod books;
pub mod central;
#[cfg(feature = "client")]
pub mod client;
pub mod document;
pub mod event;
pub mod query;
pub mod region;
pub mod replay;
pub mod schema;
pub mod view;
