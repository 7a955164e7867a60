//! Holds requests whose signature failed, sealed to the region's key, so that they can be verified again once
//! a source is corrected.
//!
//! Anyone can send such requests. So their rate is limited by address and source, and both may take only a
//! share of the stream. At a limit, new requests are not held, so that a flood displaces nothing.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::Request;
use async_nats::jetstream::publish::PublishAck;
use bytes::Bytes;
use floodgate_event::proto::HeldRequest;
use floodgate_event::seal::{SealError, SealingKey};
use floodgate_event::{held, subject};
use floodgate_listen::network;
use floodgate_stream::Connection;
use prometheus::{IntCounterVec, Opts, Registry};
use prost::Message as _;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tracing::debug;

use crate::ask::{AskError, ask};
use crate::caps::Caps;

/// The most requests that are sealed and written at once.
const SLOTS: usize = 16;
/// How long the server may take to acknowledge one. Its sender waits as long for its 401.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The part of the stream that the requests of a source may take, and those of an address: a quarter and a
/// sixteenth.
const SOURCE_SHARE: u64 = 4;
const ADDRESS_SHARE: u64 = 16;
/// How often the stream is asked how much it has of each source.
const COUNT_EVERY: Duration = Duration::from_secs(10);

/// Gives the key to seal to, which may be replaced while the gateway runs.
type Key = Box<dyn Fn() -> SealingKey + Send + Sync>;

/// Holds requests in the region's stream.
pub struct Holder {
    nats: Connection,
    key: Key,
    caps: Caps,
    slots: Semaphore,
    /// What the stream has, as far as this gateway knows. None until it has asked.
    stored: Mutex<Option<Stored>>,
    requests: IntCounterVec,
}

/// Why a request is not held.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotHeld {
    #[error("its body is over {} bytes", held::MAX_BODY_BYTES)]
    TooLarge,
    #[error("too many at once from its address, or to its source")]
    OverRate,
    #[error("its source or its address has its share of the store, or of messages of this size")]
    Full,
    #[error("too many are being written, or the store cannot be asked")]
    Busy,
    #[error("{0}")]
    Seal(#[from] SealError),
    #[error(transparent)]
    Ask(#[from] AskError),
}

impl NotHeld {
    /// The label in metrics.
    fn outcome(&self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::OverRate => "over_rate",
            Self::Full | Self::Ask(AskError::Refused(_)) => "full",
            Self::Busy => "busy",
            Self::Seal(_) | Self::Ask(_) => "failed",
        }
    }
}

/// Stream info, as far as it is needed.
#[derive(Deserialize)]
struct Info {
    config: Config,
    state: State,
}

#[derive(Deserialize)]
struct Config {
    max_bytes: i64,
    #[serde(default)]
    max_msgs_per_subject: i64,
}

#[derive(Deserialize)]
struct State {
    #[serde(default)]
    subjects: HashMap<String, u64>,
}

impl Holder {
    /// Registers the metric, and makes a holder that has held nothing yet.
    ///
    /// # Errors
    /// If a metric's name is malformed or taken: a mistake in this file.
    pub fn new(nats: Connection, key: Key, registry: &Registry) -> prometheus::Result<Self> {
        let requests = IntCounterVec::new(
            Opts::new(
                "held_requests_total",
                "Requests with a failed signature that were to be held, by outcome.",
            )
            .namespace("floodgate"),
            &["source", "outcome"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        Ok(Self {
            nats,
            key,
            caps: Caps::of_held(),
            slots: Semaphore::new(SLOTS),
            stored: Mutex::default(),
            requests,
        })
    }

    /// Holds a request of this tenant's source. Returns true once it is on disk.
    pub async fn hold(
        &self,
        owner: (&str, &str),
        peer: IpAddr,
        request: impl FnOnce() -> HeldRequest,
        body_bytes: usize,
    ) -> bool {
        let source = owner.1;
        let held = self.try_hold(owner, peer, request, body_bytes).await;
        let outcome = held.as_ref().err().map_or("held", NotHeld::outcome);
        self.requests.with_label_values(&[source, outcome]).inc();
        if let Err(error) = &held {
            debug!(source, %peer, %error, "a request is not held");
        }
        held.is_ok()
    }

    async fn try_hold(
        &self,
        owner: (&str, &str),
        peer: IpAddr,
        request: impl FnOnce() -> HeldRequest,
        body_bytes: usize,
    ) -> Result<(), NotHeld> {
        let source = owner.1;
        if body_bytes > held::MAX_BODY_BYTES {
            return Err(NotHeld::TooLarge);
        }
        if !self.nats.is_up() {
            // The client would keep the request, and send it before blocks of events.
            return Err(NotHeld::Busy);
        }
        self.caps.admit(source, peer).ok_or(NotHeld::OverRate)?;
        let _slot = self.slots.try_acquire().map_err(|_| NotHeld::Busy)?;
        if self.stored().is_none() {
            let stored = self.look().await?;
            self.stored().get_or_insert(stored);
        }
        let address = held::address_token(network(peer));
        let sealed = held::seal(&(self.key)(), owner, &request())?.encode_to_vec();
        let size = held::size_class(sealed.len());
        if self.stored().as_ref().is_some_and(|stored| !stored.has_room(source, &address, size)) {
            return Err(NotHeld::Full);
        }
        self.publish(subject::held(source, &address, size), sealed.into()).await?;
        if let Some(stored) = &mut *self.stored() {
            stored.add(source, &address, size, 1);
        }
        Ok(())
    }

    async fn publish(&self, subject: String, payload: Bytes) -> Result<(), AskError> {
        let request = Request::new().payload(payload);
        let _: PublishAck = ask(self.nats.client(), subject, request, TIMEOUT).await?;
        Ok(())
    }

    /// Asks the stream every ten seconds how many requests it holds for each source: other gateways hold some
    /// too.
    pub async fn count(&self) {
        loop {
            tokio::time::sleep(COUNT_EVERY).await;
            self.caps.forget_old();
            if self.stored().is_none() || !self.nats.is_up() {
                continue;
            }
            match self.look().await {
                Ok(stored) => *self.stored() = Some(stored),
                Err(error) => debug!(%error, "the held requests are not counted"),
            }
        }
    }

    async fn look(&self) -> Result<Stored, AskError> {
        let filter = format!(r#"{{"subjects_filter":"{}"}}"#, subject::HELD_WILDCARD);
        let subject = format!("$JS.API.STREAM.INFO.{}", subject::HELD_STREAM);
        let request = Request::new().payload(filter.into());
        let info: Info = ask(self.nats.client(), subject, request, TIMEOUT).await?;
        Ok(Stored::of(&info))
    }

    fn stored(&self) -> MutexGuard<'_, Option<Stored>> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the stream has: upper bounds, by the size classes of its messages.
#[derive(Debug, Default)]
struct Stored {
    /// The most bytes of the stream.
    most: u64,
    /// The most messages of a subject. The server refuses more.
    most_of_subject: u64,
    sources: HashMap<String, Share>,
    addresses: HashMap<String, Share>,
    /// How many messages each subject has: those of a source, an address and a size class.
    subjects: HashMap<String, u64>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Share {
    requests: u64,
    bytes: u64,
}

impl Stored {
    fn of(info: &Info) -> Self {
        // A stream without a limit has a negative one.
        let most = u64::try_from(info.config.max_bytes).unwrap_or(u64::MAX);
        // Or zero. What counts is the limit of this stream: provisioning leaves it as it was created.
        let most_of_subject = u64::try_from(info.config.max_msgs_per_subject).ok().filter(|most| *most > 0);
        let most_of_subject = most_of_subject.unwrap_or(u64::MAX);
        let mut stored = Self { most, most_of_subject, ..Self::default() };
        for (subject, count) in &info.state.subjects {
            let mut tokens = subject.split('.').skip(1);
            if let (Some(source), Some(address), Some(Ok(size))) =
                (tokens.next(), tokens.next(), tokens.next().map(str::parse))
            {
                stored.add(source, address, size, *count);
            }
        }
        stored
    }

    fn add(&mut self, source: &str, address: &str, size: usize, count: u64) {
        let bytes = held::CLASS_BYTES.saturating_mul(size as u64).saturating_mul(count);
        for share in [
            self.sources.entry(source.to_owned()).or_default(),
            self.addresses.entry(address.to_owned()).or_default(),
        ] {
            share.requests = share.requests.saturating_add(count);
            share.bytes = share.bytes.saturating_add(bytes);
        }
        let of_subject = self.subjects.entry(subject::held(source, address, size)).or_default();
        *of_subject = of_subject.saturating_add(count);
    }

    /// Whether a message of this size keeps to the shares of its source and its address, and to the limit of
    /// its subject.
    fn has_room(&self, source: &str, address: &str, size: usize) -> bool {
        let bytes = held::CLASS_BYTES.saturating_mul(size as u64);
        let of_subject = self.subjects.get(&subject::held(source, address, size)).copied();
        let source = self.sources.get(source).copied().unwrap_or_default();
        let address = self.addresses.get(address).copied().unwrap_or_default();
        source.requests < held::MAX_OF_SOURCE
            && source.bytes.saturating_add(bytes) <= self.most / SOURCE_SHARE
            && address.bytes.saturating_add(bytes) <= self.most / ADDRESS_SHARE
            && of_subject.unwrap_or_default() < self.most_of_subject
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(subjects: &[(&str, u64)]) -> Stored {
        stored_in(64 << 20, 0, subjects)
    }

    fn stored_in(max_bytes: i64, max_msgs_per_subject: i64, subjects: &[(&str, u64)]) -> Stored {
        let subjects = subjects.iter().map(|(subject, count)| ((*subject).to_owned(), *count)).collect();
        Stored::of(&Info { config: Config { max_bytes, max_msgs_per_subject }, state: State { subjects } })
    }

    #[test]
    fn a_source_and_an_address_have_their_shares() {
        let class = held::CLASS_BYTES;
        let fills = |share: u64| (64 << 20) / share / class;
        let one_address = stored(&[("held.stripe.0a.1", fills(ADDRESS_SHARE))]);
        assert!(!one_address.has_room("stripe", "0a", 1) && !one_address.has_room("github", "0a", 1));
        assert!(one_address.has_room("stripe", "0b", 1), "another address has room");
        let one_source = stored(&[("held.stripe.0a.1", fills(SOURCE_SHARE) - 1), ("held.stripe.0b.1", 1)]);
        assert!(!one_source.has_room("stripe", "0c", 1));
        assert!(one_source.has_room("github", "0c", 1), "another source has room");
        let many = stored(&[("held.stripe.0a.1", held::MAX_OF_SOURCE)]);
        assert!(!many.has_room("stripe", "0c", 1));
    }

    #[test]
    fn an_address_has_no_more_of_a_size_than_the_server_takes() {
        let most = held::MAX_OF_ADDRESS;
        let mut stored = stored_in(1 << 30, most, &[("held.stripe.0a.1", most as u64 - 1)]);
        assert!(stored.has_room("stripe", "0a", 1));
        stored.add("stripe", "0a", 1, 1);
        assert!(!stored.has_room("stripe", "0a", 1));
        for (source, address, size) in [("stripe", "0a", 2), ("stripe", "0b", 1), ("github", "0a", 1)] {
            assert!(stored.has_room(source, address, size), "{source} {address} {size}");
        }
        let unlimited = stored_in(1 << 30, -1, &[("held.stripe.0a.1", most as u64)]);
        assert!(unlimited.has_room("stripe", "0a", 1));
    }

    #[test]
    fn what_is_added_counts_at_once() {
        let mut stored = stored(&[]);
        let large = held::size_class(1 << 20);
        let taken = (0..100).take_while(|_| {
            let has_room = stored.has_room("stripe", "0a", large);
            stored.add("stripe", "0a", large, 1);
            has_room
        });
        assert_eq!(taken.count(), 4);
    }
}
