//! How providers sign their webhooks. The code is pure: its input is the body, headers, method, URL, keys and
//! time of a request, and it returns which key signed, or which step failed. It does no I/O and reads no
//! clock.
//!
//! A [`Preset`] describes a provider. Each has a file in `presets/`. Most presets are a
//! [`Template`](floodgate_event::scheme::Template), and an operator can describe a provider that is not here
//! by a template too. [`Scheme::new`] prepares a preset with the keys of a source, once per revision.
//! [`Scheme::receive`] verifies a request, and [`Scheme::sign`] signs one as the provider would. The admin
//! API and the gateways use the same code.

mod address;
mod allow;
mod certificate;
mod clear;
mod client;
mod describe;
mod digest;
mod failure;
mod fields;
pub mod guess;
mod handshake;
mod header;
pub mod hints;
mod jwt;
mod keys;
mod preset;
pub mod presets;
mod request;
mod scheme;
mod template;
pub mod vectors;
mod verify;

pub use clear::bearer;
pub use failure::{Failure, InvalidSettings, Step};
pub use handshake::{Answer, Handshake, Note};
pub use header::single;
pub use keys::{NamedSecret, Secrets};
pub use preset::{At, Description, Prepare, Preset, Signing};
pub use request::{Fetch, NoPublishedKeys, PublishedKeys, Request, Signed, Unsigned};
pub use scheme::{Received, Scheme};
pub use verify::Verify;
