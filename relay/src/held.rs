//! Verifies held requests again, after a source was corrected. A gateway of the request's region opens and
//! verifies each; one that verifies becomes an event, and is held no more. Events have ids, so that a request
//! that is replayed twice is a duplicate.

mod job;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::jetstream::stream::Stream;
use async_nats::{Request, RequestError};
use bytes::Bytes;
use floodgate_api::reject::HeldReplay;
use floodgate_event::causes::chain;
use floodgate_event::format::{self, DecodeError};
use floodgate_event::proto::held_verified::Result as Answer;
use floodgate_event::proto::{HeldVerified, SealedRequest};
use floodgate_event::{Name, held, subject};
use floodgate_listen::network;
use floodgate_stream::RegionConnection;
use floodgate_stream::reader::{ReadMessage, StreamReader, is_missing};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use prost::Message as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use self::job::{Judged, Outcome};
use crate::jobs::{Job, Jobs};

/// The most replays that run at once.
const MAX_RUNNING: usize = 1;
/// The most requests that are at gateways at once.
const IN_FLIGHT: usize = 4;
/// How long a gateway may take: it may have to wait for a key of the provider, and run handlers.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a region may give no further request until it is asked whether there is one.
const SILENCE: Duration = Duration::from_secs(15);
/// How often a gateway is asked about one request, and the pause between. Each time the server may choose
/// another gateway.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// Which held requests are replayed, and how.
pub(crate) struct HeldOrder {
    pub(crate) source: Name,
    /// None for all regions.
    pub(crate) region: Option<Name>,
    /// None for all senders.
    pub(crate) peer: Option<IpAddr>,
    /// How many requests are sent to gateways per second.
    pub(crate) rate: NonZeroU32,
    /// Only count what would verify.
    pub(crate) dry_run: bool,
}

impl HeldOrder {
    fn filter(&self) -> String {
        match self.peer {
            Some(peer) => subject::held_from(&self.source, &held::address_token(network(peer))),
            None => subject::held_of(&self.source),
        }
    }
}

/// The replays of this relay. Cheap to clone.
#[derive(Clone)]
pub(crate) struct HeldReplays(Arc<Inner>);

struct Inner {
    regions: Vec<RegionConnection>,
    jobs: Jobs<Judged>,
    shutdown: CancellationToken,
}

/// The held requests of one region.
struct Held {
    region: RegionConnection,
    stream: Stream,
    /// Requests that are held later are not part of the replay.
    through: u64,
    count: u64,
    /// The ids of keys that no gateway had, as far as this replay has asked. After the region's key was
    /// changed, thousands of requests may be sealed to the earlier one.
    missing_keys: Mutex<HashSet<String>>,
}

impl HeldReplays {
    pub(crate) fn new(regions: Vec<RegionConnection>, shutdown: CancellationToken) -> Self {
        Self(Arc::new(Inner { regions, jobs: Jobs::new(MAX_RUNNING), shutdown }))
    }

    /// Starts a replay of what is held now.
    pub(crate) async fn start(&self, order: HeldOrder) -> Result<HeldReplay, HeldError> {
        let regions = self.regions(order.region.as_ref())?;
        let place = self.0.jobs.place().ok_or(HeldError::Busy)?;
        let mut all = Vec::new();
        for region in regions {
            all.extend(find(region, &order.filter()).await?);
        }
        let matched = all.iter().map(|held| held.count).sum();
        let job = Arc::new(Job::new(Judged::of(matched, order.dry_run), self.0.shutdown.child_token()));
        self.0.jobs.keep(&job);
        tokio::spawn(run(Arc::clone(&job), order, all, place));
        Ok(job.view())
    }

    /// The region of this name, or all of them.
    fn regions(&self, name: Option<&Name>) -> Result<&[RegionConnection], HeldError> {
        let all = &self.0.regions;
        let Some(name) = name else { return Ok(all) };
        let region = all.iter().find(|region| region.name == *name);
        region.map(std::slice::from_ref).ok_or_else(|| {
            let known: Vec<_> = all.iter().map(|region| region.name.as_str()).collect();
            HeldError::UnknownRegion { region: name.clone(), known: known.join(", ") }
        })
    }

    /// The progress of a replay.
    pub(crate) fn get(&self, id: &str) -> Option<HeldReplay> {
        self.0.jobs.view(id)
    }

    /// Stops a replay. Requests that gateways already have are completed.
    pub(crate) fn cancel(&self, id: &str) -> Option<HeldReplay> {
        self.0.jobs.cancel(id)
    }
}

/// What a region holds. None if it never held anything.
async fn find(region: &RegionConnection, filter: &str) -> Result<Option<Held>, HeldError> {
    let away = |error: async_nats::Error| HeldError::Region { region: region.name.clone(), source: error };
    let stream = match region.context.get_stream(subject::HELD_STREAM).await {
        Ok(stream) => stream,
        Err(error) if is_missing(&error.kind()) => return Ok(None),
        Err(error) => return Err(away(error.into())),
    };
    let counts = stream.info_with_subjects(filter).await.map_err(|error| away(error.into()))?;
    let counts = counts.try_fold(0, async |sum: u64, (_, count)| Ok(sum + count as u64));
    let count = counts.await.map_err(|error| away(error.into()))?;
    let through = stream.cached_info().state.last_sequence;
    let held = || Held { region: region.clone(), stream, through, count, missing_keys: Mutex::default() };
    Ok((count > 0).then(held))
}

async fn run(job: Arc<Job<Judged>>, order: HeldOrder, all: Vec<Held>, place: OwnedSemaphorePermit) {
    let source = order.source.as_str();
    tracing::info!(replay = job.id, source, dry_run = order.dry_run, "replay of held requests started");
    for held in &all {
        held.replay(&job, &order).await;
    }
    job.finish();
    drop(place);
    let view = job.view();
    tracing::info!(
        replay = job.id,
        state = ?view.state,
        verified = view.verified,
        refused = view.refused,
        failed = view.failed,
        "replay of held requests ended"
    );
}

impl Held {
    async fn replay(&self, job: &Job<Judged>, order: &HeldOrder) {
        let mut pace = interval(Duration::from_secs(1) / order.rate.get());
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let name = subject::HELD_STREAM.to_owned();
        let reader = StreamReader::new(self.region.context.clone(), name, order.filter(), 1);
        let messages = stream::unfold((Some(reader), pace), async |(reader, mut pace)| {
            let mut reader = reader?;
            pace.tick().await;
            let message = match timeout(SILENCE, reader.next()).await {
                Ok(message) if message.sequence <= self.through => message,
                Ok(_) => return None,
                // What is left may have expired, or another replay may have taken it.
                Err(_) if reader.is_caught_up().await => return None,
                Err(_) => {
                    job.fail(&format!("{}: its held requests cannot be read", self.region.name));
                    return None;
                }
            };
            let is_last = message.sequence == self.through || message.pending == 0;
            Some((message, ((!is_last).then_some(reader), pace)))
        });
        let messages = messages.take_until(job.cancel.cancelled());
        messages
            .for_each_concurrent(IN_FLIGHT, async |message| {
                let sequence = message.sequence;
                let (peer, outcome) = self.verify(message, order.dry_run).await;
                if !order.dry_run && matches!(outcome, Outcome::Verified(_)) {
                    self.delete(sequence).await;
                }
                job.note(&peer, outcome);
            })
            .await;
    }

    /// Has a request verified. Returns its sender, if a gateway could open it.
    async fn verify(&self, message: ReadMessage, dry_run: bool) -> (String, Outcome) {
        let sealed = match format::decode::<SealedRequest>(message.payload) {
            Ok(sealed) => sealed,
            Err(error) => return (String::new(), Outcome::Refused(error.to_string())),
        };
        let key = sealed.key.clone();
        let payload = Bytes::from(held::verify(sealed, dry_run).encode_to_vec());
        self.judge(key, &payload).await
    }

    /// Asks gateways about a request that is sealed to this key until one can say.
    async fn judge(&self, key: String, payload: &Bytes) -> (String, Outcome) {
        let is_missing = self.missing_keys().contains(&key);
        // One of the gateways may have a key that the others do not have yet.
        let found = || self.missing_keys().remove(&key);
        let (mut trouble, mut without_key) = (String::new(), 0);
        for tried in 0..TRIES {
            if tried > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            match self.ask(payload).await {
                Ok(HeldVerified { peer, result: Some(Answer::Accepted(accepted)), .. }) => {
                    found();
                    return (peer, Outcome::Verified(accepted.secret_id));
                }
                Ok(HeldVerified { peer, result: Some(Answer::Refused(reason)), .. }) => {
                    found();
                    return (peer, Outcome::Refused(reason));
                }
                Ok(HeldVerified { result: Some(Answer::Unavailable(reason)), .. }) => trouble = reason,
                Ok(HeldVerified { result: Some(Answer::WithoutKey(_)), .. }) => without_key += 1,
                // `decode` has checked that there is a result.
                Ok(HeldVerified { result: None, .. }) => {}
                Err(error) => trouble = chain(&error).to_string(),
            }
            if is_missing && without_key > 0 {
                break;
            }
        }
        let region = self.region.name.as_str();
        if without_key == 0 {
            return (String::new(), Outcome::Untaken(format!("{region}: {trouble}")));
        }
        let reason = format!("{region}: no gateway that answered has the key {key}");
        // If one did not answer, it may have the key.
        if without_key == TRIES {
            self.missing_keys().insert(key);
        }
        (String::new(), Outcome::WithoutKey(reason))
    }

    fn missing_keys(&self) -> MutexGuard<'_, HashSet<String>> {
        self.missing_keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, payload: &Bytes) -> Result<HeldVerified, AskError> {
        let client = self.region.context.client();
        // An inbox of its own: the client would keep an entry for each request without an answer.
        let request =
            Request::new().payload(payload.clone()).inbox(client.new_inbox()).timeout(Some(TIMEOUT));
        let answer = client.send_request(subject::VERIFY_HELD, request).await?;
        Ok(format::decode(answer.payload)?)
    }

    /// If this fails, the request stays held until it is too old. Another replay makes a duplicate of it.
    async fn delete(&self, sequence: u64) {
        if let Err(error) = self.stream.delete_message(sequence).await {
            let region = self.region.name.as_str();
            tracing::warn!(region, sequence, %error, "a request that became an event is held still");
        }
    }
}

/// Why a replay was not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeldError {
    #[error("a replay of held requests is running: wait for it, or cancel it")]
    Busy,
    #[error("there is no region `{region}`: expected one of {known}")]
    UnknownRegion { region: Name, known: String },
    #[error("region {region}: {source}")]
    Region { region: Name, source: async_nats::Error },
}

/// Why a region gave no answer.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("no gateway answers")]
    Request(#[from] RequestError),
    #[error(transparent)]
    Answer(#[from] DecodeError),
}
