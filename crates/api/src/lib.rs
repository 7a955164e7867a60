//! The contract of the admin API: the types of its requests and answers. The relay, the command-line tool and
//! the OpenAPI document share them.

pub mod answer;
pub mod books;
pub mod bounds;
pub mod central;
#[cfg(feature = "client")]
pub mod client;
pub mod document;
pub mod event;
pub mod paths;
pub mod query;
pub mod region;
pub mod reject;
pub mod replay;
pub mod schema;
pub mod time;
pub mod view;
