//! What the tests, the benchmarks and the demo share: the programs, nats-servers, a deployment of real
//! processes, a sender that signs with code of its own, a consumer that remembers every delivery, and readers
//! from outside.
//!
//! This crate depends on no other crate of Floodgate, so any of them may use it in its tests. It uses none of
//! Floodgate's code to judge Floodgate: signatures are made in [`sign`], deliveries are verified by a public
//! library and streams are decoded by another language's protobuf (both in `tests/python`, called from
//! [`outside`]).

pub mod admin;
pub mod command;
pub mod consumer;
pub mod deployment;
pub mod failure;
pub mod fixtures;
pub mod frames;
pub mod guests;
pub mod load;
pub mod metrics;
pub mod nats;
pub mod outside;
pub mod ports;
pub mod process;
pub mod programs;
pub mod reference;
pub mod relay;
pub mod scene;
pub mod sender;
pub mod sign;
pub mod stream_info;
pub mod wait;

pub use admin::Admin;
pub use consumer::Consumer;
pub use deployment::Deployment;
pub use failure::{Failure, Result};
pub use scene::Scene;
pub use sender::Sender;
