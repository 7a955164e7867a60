//! The contract of the admin API: what its requests and answers say. The relay that answers, the command that
//! asks and the OpenAPI document share these types.

pub mod document;
